import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import * as z from "../../src/zod.js";

const root = join(import.meta.dirname, "..", "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const load = async (name: string): Promise<unknown> =>
  import(pathToFileURL(join(root, "scripts", "reliability", name)).href);
const words = z.array(z.string());
const promise = z.strictObject({
  promise: z.string(),
  command: z.string(),
  unit: z.string(),
  program: words,
  short: words,
  nightly: words,
  ci: z.string(),
});
const { PROMISES } = z.object({ PROMISES: z.array(promise) }).parse(await load("promises.mjs"));
const { summaryOf } = z
  .object({ summaryOf: z.custom<(code: number, lines: string[]) => object>() })
  .parse(await load("summary.mjs"));
const { withFigures } = z
  .object({ withFigures: z.custom<(page: string, form: string, text: string) => string>() })
  .parse(await load("table.mjs"));
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(read("package.json")));

describe("npm run reliability", () => {
  it.each(PROMISES)("$promise: runs what is there, and `npm test` runs a short form", (row) => {
    const files = row.program.filter((word) => /\.(mjs|ts)$/.test(word));
    for (const file of files) expect(existsSync(join(root, file)), file).toBe(true);
    const script = row.command.match(/^npm run (\S+)$/)?.[1];
    if (script) expect(scripts[script]).toBe(`node ${row.program[0]}`);
    expect(existsSync(join(root, row.ci)), row.ci).toBe(true);
    if (row.ci.endsWith(".mjs")) expect(read("scripts/test.mjs")).toContain(`"${row.ci}"`);
    expect(read("docs/reliability.md")).toContain(script ?? row.ci);
  });

  it("lists every fuzz and fault script of package.json", () => {
    const commands = PROMISES.map(({ command }) => command);
    for (const name of Object.keys(scripts).filter((one) => /^(fuzz|faults):/.test(one)))
      expect(commands).toContain(`npm run ${name}`);
  });

  it("takes a program that says nothing, fails, or tried nothing for a failure", () => {
    const line = (tried: number, failed: number) => JSON.stringify({ what: "x", tried, failed, seconds: 1 });
    expect(summaryOf(0, ["{ not JSON", line(5, 0), "bye"])).toEqual({ tried: 5, failed: 0 });
    expect(summaryOf(1, [line(5, 2)])).toEqual({ tried: 5, failed: 2 });
    expect(summaryOf(1, [line(5, 0)])).toEqual({ tried: 5, failed: 1 });
    expect(summaryOf(0, [line(0, 0)])).toEqual({ tried: 0, failed: 1 });
    expect(summaryOf(0, ["nothing"])).toEqual({ tried: 0, failed: 1 });
    expect(summaryOf(0, ['{"numTotalTests":9,"numFailedTests":0}'])).toEqual({ tried: 9, failed: 0 });
  });

  it("writes between the markers of the page and nowhere else", () => {
    const page = read("docs/reliability.md");
    const once = withFigures(page, "short", "first");
    expect(withFigures(once, "short", "second")).toBe(once.replace("first", "second"));
    expect(withFigures(withFigures(page, "nightly", "n"), "short", "s")).toContain("\nn\n");
    expect(() => withFigures("no markers", "short", "x")).toThrow("docs/reliability.md: expected");
  });

  it.each(["docs/reliability.md", "SECURITY.md", "docs/dependencies.md"])(
    "%s names no file that isn't there",
    (path) => {
      for (const [, file = ""] of read(path).matchAll(/`((?:test|scripts|bench|native)\/[\w/.-]+\.\w+)`/g))
        expect(existsSync(join(root, file)), file).toBe(true);
    },
  );
});
