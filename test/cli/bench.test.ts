import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Report, reportSchema } from "../../src/bench/report.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { mlxGemma, mlxGemmaOnTerminal, NO_TERMINAL, type RunOptions, readJson } from "./helpers.js";

/** As little as makes a row. */
const TINY = ["--suite", "chat", "--draft-tokens", "3", "-n", "8", "-r", "5"];

const bench = (args: readonly string[], options?: RunOptions) => mlxGemma(["bench", ...args], options);

function prompts(lines: readonly unknown[]): string {
  const path = join(temporaryFolder(), "mine.jsonl");
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"));
  return path;
}

describe("mlx-gemma bench", () => {
  it("shows the figures, and the answer in its last line", async () => {
    const { code, stdout, stderr } = await bench(TINY);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^the embedded pair, drafted by .*assistant; exact: by construction\n.*memory is read at/,
    );
    for (const title of ["Speed of decoding", "Drafts, and", "Drafts accepted by place", "Prompt (tok/s)"]) {
      expect(stdout).toContain(`\n${title}`);
    }
    expect(stdout.match(/^chat +3 /gm)).toHaveLength(4);
    expect(stdout).toMatch(/\n(K = 3 is best here|Drafting |Too noisy to tell).*\.\n$/);
    expect(stderr).toMatch(/^(mlx-gemma: repetition \d of 5(, \d+ s left)?\n){5}$/);
  });

  it("takes prompts, contexts and samplings of one's own", async () => {
    const mine = prompts(["Hi", [{ role: "user", content: "Tell me a story." }], { text: "Once" }]);
    const args = [
      "--prompts",
      mine,
      "--context",
      "40,80",
      "--sampling",
      "greedy",
      "--sampling",
      "T=0.7,seed=3",
    ];
    const { code, stdout, stderr } = await bench([
      ...args,
      "--draft-tokens",
      "0,2",
      "-n",
      "6",
      "-r",
      "1",
      "-q",
      "-o",
      "json",
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { rows, settings, verdict } = readJson(reportSchema, stdout);
    expect(rows.map((row) => [row.suite, row.context, row.sampling, row.draftTokens])).toEqual(
      [40, 80].flatMap((context) =>
        ["greedy", "T=0.7,seed=3"].flatMap((sampling) => [0, 2].map((k) => ["mine", context, sampling, k])),
      ),
    );
    expect(rows.map(({ promptTokens }) => promptTokens)).toEqual([40, 40, 40, 40, 80, 80, 80, 80]);
    expect(settings).toMatchObject({ suites: ["mine"], contexts: [40, 80], draftTokens: [0, 2] });
    expect(verdict.kind).toBe("too few repetitions to tell");
  });

  it("--draft none measures plain decoding alone", async () => {
    const { code, stdout } = await bench(["--draft", "none", "--suite", "json", "-n", "4", "-r", "1"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/drafted by nobody/);
    expect(stdout).toMatch(/\nPlain decoding: [\d.]+ tok\/s on json\.\n$/);
  });

  it.each<[string, (stdout: string) => void]>([
    [
      "jsonl",
      (stdout) => {
        const lines = stdout
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line));
        expect(lines.map(({ type }) => type)).toEqual(["about", "row", "row", "verdict"]);
      },
    ],
    [
      "csv",
      (stdout) => {
        const [head, ...rows] = stdout
          .trimEnd()
          .split("\n")
          .map((line) => line.split(","));
        expect(head).toEqual(
          expect.arrayContaining(["suite", "speedUp.interval", "gapMs.p95.median", "memoryRead.share"]),
        );
        expect(rows).toHaveLength(2);
        for (const row of rows) expect(row).toHaveLength(head?.length ?? 0);
      },
    ],
    [
      "md",
      (stdout) => {
        expect(stdout.match(/^\| suite \| K \|.*\n\| --- \|/gm)).toHaveLength(4);
        expect(stdout).not.toContain("\u001b");
      },
    ],
  ])("-o %s", async (format, check) => {
    const { code, stdout } = await bench([...TINY, "-r", "1", "-o", format]);
    expect(code).toBe(0);
    check(stdout);
  });

  it.each<[string[], RegExp, number?]>([
    [
      ["--draft", "none", "--draft-tokens", "auto"],
      /--draft-tokens: auto needs a drafter, found --draft none/,
    ],
    [
      ["--draft-tokens", "1,16"],
      /--draft-tokens: expected whole numbers from 0 to 15, or auto, such as 1,3,auto, found "16"/,
    ],
    [["--draft-tokens", ""], /--draft-tokens: expected whole numbers .* found ""/],
    [["--draft", "none", "--draft-tokens", "3"], /--draft-tokens: 3 needs a drafter, found --draft none/],
    [["--suite", "chat,poem"], /--suite: expected suites among chat, prose, code, json, long, found "poem"/],
    [["--prompts", "/nowhere.jsonl"], /--prompts \/nowhere\.jsonl: expected prompts .* found nothing there/],
    [["--max-tokens", "1"], /--max-tokens: expected a whole number of at least 2, found "1"/],
    [["--repetitions", "0"], /--repetitions: expected a whole number from 1/],
    [["--context", "12k"], /--context: expected numbers of tokens, such as 512,4096, found "12k"/],
    [
      ["--suite", "long", "--context", "100"],
      /--context: expected at least the \d+ tokens of long, prompt 1, found 100/,
    ],
    [["--context", "32768"], /chat: a prompt of 32768 tokens .* 32768 positions/, 6],
    [
      ["--sampling", "hot"],
      /--sampling: expected greedy, or a temperature above 0 such as T=0\.7, .* found "hot"/,
    ],
    [["--sampling", "T=0"], /--sampling: expected greedy/],
    [["--sampling", "T=0.7,top-p=2"], /top-p must be a number from 0 to 1; got 2/],
    [["-o", "xml"], /--output: expected table, json, jsonl, csv or md, found "xml"/],
    [["--json", "-o", "csv"], /option '--json' cannot be used with option '-o, --output <format>'/],
    [["--save", "/"], /--save \/: expected a file, found a folder/],
    [["--save", "/dev/null"], /--save \/dev\/null: expected a file, found no plain file/],
    [
      ["--save", "/nowhere/x.json"],
      /--save \/nowhere\/x\.json: expected a place to write to, found no such folder/,
      10,
    ],
    [["--compare", "/nowhere"], /--compare \/nowhere: expected what --save writes, found nothing there/],
    [["--model", "/nowhere/at/all"], /\/nowhere\/at\/all/, 3],
  ])("%j is refused", async (args, line, code = 2) => {
    const outcome = await bench(args);
    expect(outcome.stderr).toMatch(/^mlx-gemma: [^\n]+\n$/);
    expect(outcome.stderr).toMatch(line);
    expect({ code: outcome.code, stdout: outcome.stdout }).toEqual({ code, stdout: "" });
  });
});

describe("--save and --compare", () => {
  let folder: string;
  let saved: Report;
  beforeAll(async () => {
    folder = temporaryFolder();
    const { code } = await bench([...TINY, "-q", "--save", join(folder, "saved.json")]);
    expect(code).toBe(0);
    saved = reportSchema.parse(JSON.parse(readFileSync(join(folder, "saved.json"), "utf8")));
  });

  /** The saved run, as if all had been so many times as fast. */
  function planted(factor: number): string {
    const rows = saved.rows.map((row) => ({
      ...row,
      samples: row.samples.map((sample) => ({
        ...sample,
        decodeTokensPerSecond: sample.decodeTokensPerSecond * factor,
        speedUp: sample.speedUp * factor,
      })),
    }));
    const path = join(folder, `times-${factor}.json`);
    writeFileSync(path, JSON.stringify({ ...saved, rows }));
    return path;
  }

  it("writes a whole report and leaves nothing beside it", () => {
    expect(saved).toMatchObject({
      format: "mlx-gemma bench",
      version: 1,
      complete: true,
      difference: null,
      comparison: null,
    });
    expect(saved.rows.map(({ draftTokens, samples }) => [draftTokens, samples.length])).toEqual([
      [0, 5],
      [3, 5],
    ]);
    expect(readdirSync(folder).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("a planted regression is exit code 11", async () => {
    const { code, stdout, stderr } = await bench([...TINY, "-q", "--compare", planted(10)]);
    expect(code).toBe(11);
    expect(stdout).toMatch(/Against .*times-10\.json \(\d{4}-\d\d-\d\d\), tolerance 10%/);
    expect(stdout).toMatch(/speed-up .* -\d+% +0\.0\d+ +regression/);
    expect(stderr).toMatch(
      /^mlx-gemma: --compare: [1-3] of 3 figures are lower by more than the tolerance, such as .*%\n$/,
    );
  });

  it("an improvement is none, and the report holds the comparison", async () => {
    const { code, stdout, stderr } = await bench([...TINY, "-q", "-o", "json", "--compare", planted(0.1)]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { comparison } = readJson(reportSchema, stdout);
    expect(comparison?.figures.find(({ figure }) => figure === "speed-up")?.finding).toBe("improvement");
  });

  it("refuses to compare answers of other lengths, before it measures", async () => {
    const { code, stderr } = await bench([...TINY, "-n", "9", "--compare", join(folder, "saved.json")]);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^mlx-gemma: --compare .*expected answers of --max-tokens 9, found 8; give the same\n$/,
    );
  });
});

describe("interrupted", () => {
  it.each<[NodeJS.Signals, number]>([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ])("%s shows and saves the repetitions that are whole", async (signal, code) => {
    const file = join(temporaryFolder(), "saved.json");
    const outcome = await bench([...TINY, "-r", "1000", "--save", file], {
      kill: { after: "repetition 3 of 1000", signal },
    });
    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toMatch(/^chat +3 /m);
    expect(outcome.stderr).toMatch(
      /note: interrupted: the figures are of the repetitions that were whole\n$/,
    );
    const report = reportSchema.parse(JSON.parse(readFileSync(file, "utf8")));
    expect(report.complete).toBe(false);
    expect(report.rows.every(({ repetitions }) => repetitions >= 2 && repetitions < 1000)).toBe(true);
  });

  it("before there is anything, says so", async () => {
    const { code, stdout } = await bench([...TINY, "-n", "2000", "--suite", "long"], {
      kill: { after: "repetition 1 of", signal: "SIGINT" },
    });
    expect(code).toBe(130);
    expect(stdout).toMatch(/\nNothing to tell: no repetition was finished\.\n$/);
  });

  it("by a reader that has seen enough is no error", async () => {
    expect(await bench([...TINY, "-r", "1", "-q"], { closeStdout: true })).toMatchObject({
      code: 0,
      stderr: "",
    });
  });
});

describe.skipIf(NO_TERMINAL)(`on a terminal ${NO_TERMINAL ?? ""}`, () => {
  it("fits 40 columns, has tables in 80, and shows time left on the way", async () => {
    const { code, output, text } = await mlxGemmaOnTerminal(["bench", ...TINY, "-r", "2"], { columns: 40 });
    expect(code).toBe(0);
    expect(output).toMatch(/\d+%, \d+ s left: repetition/);
    const wide = await mlxGemmaOnTerminal(["bench", ...TINY, "-r", "2"]);
    expect(wide.text).toMatch(/^suite +K +prompt +first +gap p50 +p95 +p99 +peak +per token +bandwidth\n/m);
    const report = text.slice(text.indexOf("Speed of decoding")).split("\n");
    expect(report.filter((line) => line.trimEnd().length > 40)).toEqual([]);
  });
});
