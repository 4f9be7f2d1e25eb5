import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Trace, traceSchema } from "../../src/trace/schema.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { FOX, generate, mlxGemma } from "./helpers.js";
import { reportOf } from "./html/pages.js";

const SHORT = ["--draft", "assistant", "--draft-tokens", "4", "-n", "40", FOX];
const PAGE = /^<!DOCTYPE html>[\s\S]*<\/html>\n$/;

const readTrace = (path: string): Trace => traceSchema.parse(JSON.parse(readFileSync(path, "utf8")));

/** Ids of the answer, from who wrote them. */
const idsOf = ({ rounds }: Trace) =>
  rounds.flatMap(({ drafts, own }) => [
    ...drafts.filter(({ outcome }) => outcome === "accepted").map(({ id }) => id),
    ...(own ? [own.id] : []),
  ]);

describe("generate --trace and --html", () => {
  let folder: string;
  let trace: Trace;
  let page: string;
  beforeAll(async () => {
    folder = temporaryFolder();
    const [json, htmlFile] = [join(folder, "t.json"), join(folder, "t.html")];
    const outcome = await generate(["--trace", json, "--html", htmlFile, ...SHORT]);
    const plain = await generate(["-n", "40", FOX]);
    expect(outcome).toEqual({ code: 0, stderr: "", stdout: plain.stdout });
    trace = readTrace(json);
    page = readFileSync(htmlFile, "utf8");
  });

  it("writes down the answer's tokens, and no others", async () => {
    const { stdout } = await generate(["--json", ...SHORT]);
    const { tokenIds, text, stats } = JSON.parse(stdout);
    expect(idsOf(trace)).toEqual(tokenIds);
    expect(trace.answer.text).toBe(text);
    const texts = trace.rounds.flatMap(({ drafts, own }) => [
      ...drafts.filter(({ outcome }) => outcome === "accepted"),
      ...(own ? [own] : []),
    ]);
    expect(texts.map((token) => token.text).join("")).toBe(text);
    const { targetSteps, proposed, accepted, acceptanceByPosition } = stats;
    expect(trace.stats).toMatchObject({ targetSteps, proposed, accepted, acceptanceByPosition });
  });

  it("adds up to the statistics", () => {
    const [, ...rounds] = trace.rounds;
    const drafts = rounds.flatMap((round) => round.drafts);
    expect(rounds).toHaveLength(trace.stats.targetSteps);
    expect(drafts).toHaveLength(trace.stats.proposed);
    expect(drafts.filter(({ outcome }) => outcome === "accepted")).toHaveLength(trace.stats.accepted);
    const draftMs = rounds.reduce((sum, { times }) => sum + times.draft, 0);
    expect(draftMs).toBeCloseTo(trace.stats.times.draft, 6);
    for (const [index, round] of rounds.entries()) {
      expect(round.startMs).toBeGreaterThanOrEqual(trace.rounds[index]?.startMs ?? Number.NaN);
    }
    expect(drafts.every(({ draftProbability }) => draftProbability !== null && draftProbability > 0)).toBe(
      true,
    );
  });

  it("and makes the page that report makes of it", async () => {
    expect(page).toMatch(PAGE);
    expect((await mlxGemma(["report", join(folder, "t.json")])).stdout).toBe(page);
    const out = join(folder, "again.html");
    const outcome = await mlxGemma(["report", join(folder, "t.json"), "--html", out]);
    expect(outcome).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(readFileSync(out, "utf8")).toBe(page);
  });

  it("writes the files whole when the reader of stdout has gone", async () => {
    const [json, htmlFile] = [join(folder, "head.json"), join(folder, "head.html")];
    const args = [
      "--trace",
      json,
      "--html",
      htmlFile,
      "--draft",
      "assistant",
      "--ignore-eos",
      "-n",
      "400",
      FOX,
    ];
    const outcome = await generate(args, { closeStdout: true });
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(readTrace(json)).toMatchObject({ answer: { stopReason: "max tokens" }, stats: { tokens: 400 } });
    expect(readFileSync(htmlFile, "utf8")).toMatch(PAGE);
  });

  it("keeps what an interrupted answer has", async () => {
    const path = join(folder, "cut.json");
    const args = ["--trace", path, "--draft", "assistant", "-n", "4000", "--ignore-eos", FOX];
    const { code } = await generate(args, { kill: { after: ".", signal: "SIGINT" } });
    expect(code).toBe(130);
    const cut = readTrace(path);
    expect(cut.answer.stopReason).toBe("aborted");
    expect(idsOf(cut)).toHaveLength(cut.stats.tokens);
  });

  it("of plain decoding has rounds without drafts", async () => {
    const path = join(folder, "plain.json");
    await generate(["--trace", path, "-n", "5", FOX]);
    const { rounds, settings } = readTrace(path);
    expect(settings.assistant).toBeNull();
    expect(rounds.map(({ drafts, own }) => [drafts.length, own === null])).toEqual(
      Array.from({ length: 5 }, () => [0, false]),
    );
  });

  it.each<[string[], RegExp, number]>([
    [["--trace", "/"], /--trace \/: expected a file, found a folder/, 2],
    [["--html", "/nowhere/x.html"], /--html \/nowhere\/x\.html: expected a place .* no such folder/, 10],
    [["--trace", "x", "--html", "./x"], /--html \.\/x: expected a file of its own, found that of --trace/, 2],
  ])("%j is refused before anything is loaded", async (args, line, code) => {
    const outcome = await generate([...args, "Hi"]);
    expect(outcome.stderr).toMatch(line);
    expect(outcome.stderr).toMatch(/^mlx-gemma: [^\n]+\n$/);
    expect({ code: outcome.code, stdout: outcome.stdout }).toEqual({ code, stdout: "" });
  });
});

describe("mlx-gemma report", () => {
  const saved = (content: string) => {
    const path = join(temporaryFolder(), "saved.json");
    writeFileSync(path, content);
    return path;
  };

  it("makes a page of a saved bench", async () => {
    const report = await reportOf();
    const { code, stdout } = await mlxGemma(["report", saved(JSON.stringify(report))]);
    expect(code).toBe(0);
    expect(stdout).toMatch(PAGE);
    expect(stdout).toContain(report.verdict.text);
  });

  it.each<[string, string, RegExp]>([
    ["no JSON", "{", /expected what bench --save or generate --trace writes, found no JSON/],
    ["a list", "[]", /generate --trace writes in this version, found a list of 0/],
    ["a later trace", '{"format":"mlx-gemma trace","version":2}', /found an object \(.* at version\)/],
  ])("refuses %s in one line", async (_, content, line) => {
    const { code, stdout, stderr } = await mlxGemma(["report", saved(content)]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^mlx-gemma: report [^\n]+\n$/);
    expect(stderr).toMatch(line);
  });

  it("asks for a file", async () => {
    const { code, stderr } = await mlxGemma(["report"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^mlx-gemma: missing required argument 'file'; see mlx-gemma report --help\n$/);
  });
});

it("bench --html writes the page of its figures", async () => {
  const folder = temporaryFolder();
  const files = ["--save", join(folder, "b.json"), "--html", join(folder, "b.html")];
  const tiny = ["--suite", "chat", "--draft-tokens", "2", "-n", "4", "-r", "1", "-q"];
  const { code, stdout } = await mlxGemma(["bench", ...tiny, ...files]);
  expect(code).toBe(0);
  const page = readFileSync(join(folder, "b.html"), "utf8");
  expect((await mlxGemma(["report", join(folder, "b.json")])).stdout).toBe(page);
  expect(page).toContain(stdout.trimEnd().split("\n").at(-1));
});

it("docs/report.md names every key of a trace", () => {
  const docs = readFileSync(new URL("../../docs/report.md", import.meta.url), "utf8");
  const { rounds, ...shape } = traceSchema.shape;
  const round = rounds.unwrap().element.shape;
  const draft = round.drafts.unwrap().element.shape;
  const keys = [...Object.keys(shape), "rounds", ...Object.keys(round), ...Object.keys(draft)];
  expect(keys.filter((key) => !docs.includes(`\`${key}\``))).toEqual([]);
});
