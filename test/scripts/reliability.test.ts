import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
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
  saved: z.string(),
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
const { figures, withFigures } = z
  .object({
    figures: z.custom<(form: string, rows: object[]) => string>(),
    withFigures: z.custom<(page: string, form: string, text: string) => string>(),
  })
  .parse(await load("table.mjs"));
const { newest } = z
  .object({ newest: z.custom<(results: string, form: string, saved: string) => object | undefined>() })
  .parse(await load("saved.mjs"));
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

  it("makes the table of the newest row that was saved of each, and says what was not run yet", () => {
    const results = mkdtempSync(join(tmpdir(), "mlx-gemma-rows-"));
    const about = { cpu: "A CPU", cores: 2, kernels: "avx2", versions: { MLX: "1" } };
    const save = (name: string, date: string, ...rows: object[]) => {
      const path = join(results, "reliability", `${name}.jsonl`);
      mkdirSync(dirname(path), { recursive: true });
      const lines = [{ ...about, date, commit: date.slice(8, 10) }, ...rows];
      writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    };
    try {
      save("kills-b", "2026-01-02T00:00:00Z", { tried: 1200, failed: 1, seconds: 7300 }, { killed: 5 });
      save("kills-z", "2026-01-01T00:00:00Z", { tried: 7, failed: 0, seconds: 1 });
      save("short/kills-c", "2026-01-03T00:00:00Z", { tried: 8, failed: 0, seconds: 1 });
      // As the programs wrote them at first.
      save("files-a", "2026-01-04T00:00:00Z", { tried: 9, wrong: 0 }, { seconds: 2 }, { seconds: 3 });
      const rows = ["kills", "files", "cycles"].map((saved) => ({
        promise: saved,
        command: `npm run ${saved}`,
        unit: "times",
        run: newest(results, "nightly", saved),
      }));
      expect(figures("nightly", rows).split("\n").slice(4)).toEqual([
        "| kills | `npm run kills` | 1,200 times | 1 | 2.0 h | 2026-01-02, 02 |",
        "| files | `npm run files` | 9 times | 0 | 5 s | 2026-01-04, 04 |",
        "| cycles | `npm run cycles` | not run yet |  |  |  |",
        "",
        "On A CPU, 2 cores, avx2; MLX 1.",
      ]);
      save("files-a", "2026-01-04T00:00:00Z", { tried: 9 });
      expect(() => newest(results, "nightly", "files")).toThrow("files-a.jsonl: expected a date, and");
    } finally {
      rmSync(results, { recursive: true });
    }
  });

  it("finds each promise's rows by a name that no other begins with", () => {
    for (const { saved } of PROMISES)
      expect(PROMISES.filter((other) => `${other.saved}-`.startsWith(`${saved}-`))).toHaveLength(1);
  });

  it("has made the page's tables of the rows that are saved", () => {
    for (const form of ["nightly", "short"]) {
      const rows = PROMISES.map((one) => ({
        ...one,
        run: newest(join(root, "bench/results"), form, one.saved),
      }));
      const page = read("docs/reliability.md");
      expect(page, "npm run reliability -- --page").toBe(withFigures(page, form, figures(form, rows)));
    }
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
