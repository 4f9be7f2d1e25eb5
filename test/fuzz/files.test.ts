import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import * as z from "../../src/zod.js";

const row = z.looseObject({
  target: z.string(),
  tried: z.number(),
  taken: z.number().optional(),
  refused: z.record(z.string(), z.number()).optional(),
  finding: z.object({ index: z.number(), what: z.string() }).optional(),
});

// The nightly form, `npm run fuzz:files`, tries a million.
describe("hostile files", () => {
  const { stdout, status } = spawnSync(process.execPath, ["scripts/fuzz-files.mjs", "--count", "16000"], {
    encoding: "utf8",
    timeout: 600_000,
  });
  const rows = stdout
    .split("\n")
    .flatMap((line) => (line.startsWith('{"target"') ? [row.parse(JSON.parse(line))] : []));

  it("are taken or refused in one line, the known ones and thousands of others", () => {
    expect(stdout).toMatch(/\n16000 inputs, 0 wrong\n\{"what":"files","tried":16000,"failed":0,.*\}\n$/);
    expect(status).toBe(0);
  });

  it.each(["header", "index", "config", "tokenizer", "template"])(
    "of kind %s are of both sorts",
    (target) => {
      const { taken = 0, refused = {} } = rows.find((one) => one.target === target) ?? {};
      expect(taken).toBeGreaterThan(0);
      expect(refused.checkpoint).toBeGreaterThan(0);
    },
  );

  it.each(["header", "index", "tokenizer"])(
    "of kind %s find a check that is left out (negative control)",
    (target) => {
      expect(rows.find((one) => one.target === `${target}-unchecked`)?.finding?.what).toMatch(
        /Assertion|process|hangs/,
      );
    },
  );
});

describe("a process that says nothing", async () => {
  const { fuzz } = z
    .object({ fuzz: z.custom<(target: string, options: object) => Promise<unknown>>() })
    .parse(await import(pathToFileURL(join(import.meta.dirname, "files", "fuzz.mjs")).href));
  /** `index` with the processes of these numbers asleep from their start. */
  const asleep = async (numbers: number[]) => {
    let started = 0;
    const onChild = (child: { kill(signal: string): void }) => {
      if (numbers.includes(started++)) child.kill("SIGSTOP");
    };
    return row.parse(await fuzz("index", { seed: 1, count: 1000, silenceMs: 4000, onChild }));
  };

  it("is tried once more, and no finding if the machine slept", { timeout: 60_000 }, async () => {
    const [{ refused, taken }, disturbed] = await Promise.all([asleep([]), asleep([0])]);
    expect(disturbed).toMatchObject({ tried: 1000, refused, taken });
    expect(disturbed.finding).toBeUndefined();
  });

  it("hangs if it says nothing again", { timeout: 60_000 }, async () => {
    expect(await asleep([0, 1])).toMatchObject({ tried: 1, finding: { index: 0, what: "hangs" } });
  });
});
