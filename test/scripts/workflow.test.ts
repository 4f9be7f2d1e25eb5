import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import * as z from "../../src/zod.js";

const root = join(import.meta.dirname, "..", "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const step = z.union([
  z.strictObject({
    name: z.string().optional(),
    run: z.string(),
  }),
  z.strictObject({
    name: z.string().optional(),
    if: z.string().optional(),
    uses: z.string().regex(/^actions\/[a-z-]+@v\d+$/),
    with: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  }),
]);
const job = z.strictObject({
  name: z.string(),
  if: z.string().optional(),
  strategy: z
    .strictObject({
      "fail-fast": z.boolean(),
      matrix: z.record(z.string(), z.array(z.union([z.string(), z.number()]))),
    })
    .optional(),
  "runs-on": z.string(),
  "timeout-minutes": z.number(),
  steps: z.array(step),
});
const workflow = z.looseObject({
  on: z.looseObject({ push: z.unknown(), schedule: z.array(z.object({ cron: z.string() })) }),
  permissions: z.strictObject({ contents: z.literal("read") }),
  jobs: z.record(z.string(), job),
});
const manifest = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(read("package.json")));

describe(".github/workflows/ci.yml", () => {
  const { jobs } = workflow.parse(parse(read(".github/workflows/ci.yml")));
  const commands = Object.values(jobs).flatMap(({ steps }) =>
    steps.flatMap((one) => ("run" in one ? [one.run] : [])),
  );

  it("runs the tests on every system with every Node.js", () => {
    expect(jobs.test?.strategy?.matrix).toEqual({
      system: ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-15"],
      node: [20, 22, 24],
    });
    expect(commands).toEqual(
      expect.arrayContaining(["npm ci", "npm test", "npm run test:package", "npm audit"]),
    );
  });

  it("runs only what is there", () => {
    for (const command of commands) {
      const script = command.match(/^npm (?:run )?([\w:]+)/)?.[1] ?? command;
      if (["npm ci", "npm ci --ignore-scripts", "npm audit", "npm audit signatures"].includes(command))
        continue;
      expect(manifest.scripts, command).toHaveProperty([script]);
    }
  });

  it("keeps what is there", () => {
    const paths = Object.values(jobs).flatMap(({ steps }) =>
      steps.flatMap((one) =>
        "uses" in one && one.uses.startsWith("actions/upload") ? [one.with?.path] : [],
      ),
    );
    expect(paths).toEqual(["build/sbom.cdx.json", "bench/results/reliability"]);
  });

  it("names matrix values that are declared", () => {
    for (const [id, { strategy, ...rest }] of Object.entries(jobs)) {
      for (const [, name = ""] of JSON.stringify(rest).matchAll(/\$\{\{ matrix\.(\w+) \}\}/g))
        expect(strategy?.matrix, id).toHaveProperty([name]);
    }
  });
});
