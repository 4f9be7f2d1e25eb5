import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JSON_SCHEMAS, type JsonOf } from "../../src/cli/json-schemas.js";
import { nearest } from "../../src/nearest.js";
import { mlxGemma, readJson } from "./helpers.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlx-gemma-settings-"));
  mkdirSync(join(folder, "below", "deep"), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

type Held = Omit<JsonOf<"print-config">["options"][number], "name">;

/** What a command holds with a file, an environment and flags. */
async function held(
  args: readonly string[],
  { file, env = {} }: { readonly file?: unknown; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Map<string, Held>> {
  const path = join(folder, "mlx-gemma.json");
  if (file === undefined) rmSync(path, { force: true });
  else writeFileSync(path, JSON.stringify(file));
  const outcome = await mlxGemma([...args, "--print-config", "--json"], {
    cwd: join(folder, "below", "deep"),
    env,
  });
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  const { options } = readJson(JSON_SCHEMAS["print-config"], outcome.stdout);
  return new Map(options.map(({ name, ...rest }) => [name, rest]));
}

/** The line that a command ends with, exit code 2. */
async function refusal(
  file: string,
  args: readonly string[] = ["generate", "x"],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  writeFileSync(join(folder, "mlx-gemma.json"), file);
  const outcome = await mlxGemma(args, { cwd: folder, env });
  expect(outcome).toMatchObject({ code: 2, stdout: "" });
  expect(outcome.stderr).toMatch(/^mlx-gemma: [^\n]+\n$/);
  return outcome.stderr;
}

describe("a value is that of the strongest source", () => {
  const path = () => join(folder, "mlx-gemma.json");

  it("flag, environment, file, default", async () => {
    const file = { "max-tokens": 1, seed: 1, "top-k": 1, generate: { seed: 2 }, chat: { "top-k": 9 } };
    const env = { MLX_GEMMA_MAX_TOKENS: "3", MLX_GEMMA_MIN_P: "0.1", MLX_GEMMA_GENERATE_MIN_P: "0.2" };
    const options = await held(["generate", "--max-tokens", "4"], { file, env });
    expect(options.get("max-tokens")).toEqual({ value: 4, source: "flag", from: null });
    expect(options.get("min-p")).toEqual({
      value: 0.2,
      source: "environment",
      from: "MLX_GEMMA_GENERATE_MIN_P",
    });
    expect(options.get("seed")).toEqual({ value: 2, source: "file", from: `${path()}: generate: seed` });
    expect(options.get("top-k")).toEqual({ value: 1, source: "file", from: `${path()}: top-k` });
    expect(options.get("top-p")).toEqual({ value: 1, source: "default", from: null });
  });

  it("of every kind of option", async () => {
    const file = {
      stop: ["a", "b"],
      "prompt-ids": [2, 5],
      model: "./models/x",
      raw: true,
      bench: { "draft-tokens": [1, 3], context: 512, sampling: ["greedy", "T=0.7"], model: "org/name" },
      quantize: { check: false, output: "../out" },
      "models rm": { quiet: true },
    };
    const values = async (args: string[]) =>
      Object.fromEntries([...(await held(args, { file }))].map(([name, { value }]) => [name, value]));
    expect(await values(["generate"])).toMatchObject({
      stop: ["a", "b"],
      "prompt-ids": [2, 5],
      model: join(folder, "models", "x"),
    });
    expect(await values(["bench"])).toMatchObject({
      "draft-tokens": [1, 3],
      context: [512],
      sampling: [{ name: "greedy" }, { name: "T=0.7" }],
      model: "org/name",
    });
    expect(await values(["quantize"])).toMatchObject({ check: false, output: join(folder, "..", "out") });
    const rm = await mlxGemma(["models", "rm", "--print-config"], { cwd: folder });
    expect(rm.stdout).toMatch(/^quiet +true +file, .*: models rm: quiet$/m);
  });

  it("of a switch in the environment", async () => {
    const quiet = async (value: string) =>
      (await held(["pull"], { env: { MLX_GEMMA_QUIET: value } })).get("quiet");
    expect(await quiet("1")).toMatchObject({ value: true, source: "environment" });
    expect(await quiet("off")).toMatchObject({ value: null });
    expect(await quiet("")).toEqual({ value: null, source: "default", from: null });
    expect((await held(["quantize"], { env: { MLX_GEMMA_CHECK: "0" } })).get("check")?.value).toBe(false);
  });

  it("and gives way to what rules it out", async () => {
    const options = await held(["generate", "--quiet"], { file: { stats: true, verbose: true } });
    expect(options.get("stats")?.value).toBeNull();
    const byVariable = await held(["generate"], { file: { quiet: true }, env: { MLX_GEMMA_STATS: "1" } });
    expect([byVariable.get("stats")?.value, byVariable.get("quiet")?.value]).toEqual([true, null]);
  });

  it("of draft tokens is left alone where nobody drafts, unless it is a flag", async () => {
    const file = { "draft-tokens": 2, bench: { "draft-tokens": [1, 3] }, chat: { draft: "assistant" } };
    const env = { MLX_GEMMA_CHAT_DRAFT_TOKENS: "5" };
    const tokens = async (...args: string[]) => (await held(args, { file, env })).get("draft-tokens");
    const nothing = { value: null, source: "default", from: null };
    expect(await tokens("generate")).toEqual(nothing);
    expect(await tokens("bench", "--draft", "none")).toEqual(nothing);
    expect(await tokens("chat", "--draft", "none")).toEqual(nothing);
    expect((await tokens("generate", "--draft", "assistant"))?.value).toBe(2);
    expect((await tokens("chat"))?.value).toBe(5);
    expect((await tokens("bench"))?.value).toEqual([1, 3]);
    const unsaid = async (...args: string[]) => (await held(args)).get("draft-tokens");
    expect(await unsaid("generate", "--draft", "assistant")).toEqual({ ...nothing, value: "auto" });
    expect((await unsaid("bench"))?.value).toEqual([1, 2, 3, 4, 6, 8, "auto"]);
    const run = await mlxGemma(["generate", "-n", "2", "Hi"], { cwd: folder });
    expect(run.code).toBe(0);
    expect(await refusal('{"draft": "none"}', ["generate", "--draft-tokens", "2", "Hi"])).toMatch(
      /--draft-tokens: 2 needs a drafter, found none/,
    );
  });

  it("is what the command runs with", async () => {
    writeFileSync(path(), '{"max-tokens": 3, "draft": "assistant"}');
    const { code, stdout, stderr } = await mlxGemma(["generate", "--json", "--verbose", "Hi"], {
      cwd: folder,
    });
    expect(code).toBe(0);
    const { tokenIds, stats }: { tokenIds: number[]; stats: { draftTokens: unknown } } = JSON.parse(stdout);
    expect(tokenIds).toHaveLength(3);
    expect(stats.draftTokens).toBe("auto");
    expect(stderr).toContain(`mlx-gemma: max-tokens is 3 (${path()}: max-tokens)\n`);
  });
});

describe("a file that can't be taken", () => {
  it.each<[string, RegExp, string[]?]>([
    ["{", /mlx-gemma\.json: expected JSON, found a mistake/],
    ["[]", /mlx-gemma\.json: expected an object, found a list of 0/],
    ['{"max-token": 3}', /expected an option or a command, found max-token; did you mean max-tokens\?/],
    ['{"generate": {"suite": "chat"}}', /expected an option of generate, found suite; docs\/cli\.md lists/],
    ['{"generate": 3}', /generate: expected an object, found 3/],
    ['{"seed": null}', /seed: expected true or false, a number, a text.*, found null/],
    ['{"seed": -1}', /mlx-gemma\.json: seed: expected a whole number from 0 to 4294967295, found "-1"/],
    ['{"seed": [1, 2]}', /seed: expected one value, found \[1,2\]/],
    ['{"raw": "yes"}', /raw: expected true or false, found "yes"/],
    ['{"model": true}', /model: expected a text or a number, found true/],
    ['{"yes": true}', /found yes; it belongs on the command line/],
    ['{"bench": {"save": "x"}}', /found save; it belongs on the command line/],
  ])("%s", async (text, line) => {
    expect(await refusal(text)).toMatch(line);
  });

  it("keeps nobody from the help", async () => {
    writeFileSync(join(folder, "mlx-gemma.json"), "{");
    for (const args of [["--help"], ["--version"], ["generate", "--help"], ["models", "rm", "--help"]]) {
      expect(await mlxGemma(args, { cwd: folder })).toMatchObject({ code: 0, stderr: "" });
    }
  });

  it("is left alone with MLX_GEMMA_CONFIG", async () => {
    expect(await refusal("{", ["generate", ""], { MLX_GEMMA_CONFIG: "none" })).toMatch(/found an empty one/);
    expect(await refusal("{}", ["generate", "x"], { MLX_GEMMA_CONFIG: "no.json" })).toMatch(
      /no\.json.*: expected a JSON file with settings, found nothing there/,
    );
  });
});

it("a variable that can't be taken is told by its name", async () => {
  expect(await refusal("{}", ["generate", "x"], { MLX_GEMMA_TOP_P: "2" })).toMatch(
    /^mlx-gemma: MLX_GEMMA_TOP_P: expected a number above 0, at most 1, found "2"/,
  );
  expect(await refusal("{}", ["generate", "x"], { MLX_GEMMA_QUIET: "maybe" })).toMatch(
    /^mlx-gemma: MLX_GEMMA_QUIET: expected 1 or 0, found "maybe"/,
  );
  expect(await refusal("{}", ["generate", "x"], { MLX_GEMMA_DTYPE: "fp8" })).toMatch(
    /^mlx-gemma: MLX_GEMMA_DTYPE: expected bf16, f16 or f32, found "fp8"/,
  );
});

it("a variable that is nearly one is told, in a line, and refused where warnings are", async () => {
  const env = {
    MLX_GEMMA_MAX_TOKEN: "3",
    MLX_GEMMA_STEP_ROW: "8",
    // Read elsewhere, not set, and somebody's own.
    MLX_GEMMA_JOBS: "2",
    MLX_GEMMA_BENCH_TOLERANCE: "0.2",
    MLX_GEMMA_DRAFFT: "",
    MLX_GEMMA_PROJECT: "x",
  };
  const run = (...args: string[]) => mlxGemma(["generate", "--raw", "-n", "1", "Hi", ...args], { env });
  const line = (name: string, meant: string) =>
    `mlx-gemma: warning: the variable ${name} does nothing; did you mean ${meant}? [option-ignored]\n`;
  const lines =
    line("MLX_GEMMA_MAX_TOKEN", "MLX_GEMMA_MAX_TOKENS") + line("MLX_GEMMA_STEP_ROW", "MLX_GEMMA_STEP_ROWS");
  expect(await run("--print-config")).toMatchObject({ code: 0, stderr: lines });
  expect(await run("-q")).toMatchObject({ code: 0, stderr: lines });
  expect(await run("--strict")).toMatchObject({ code: 13, stdout: "" });
  expect(await run("-q", "--strict", "--allow", "option-ignored")).toMatchObject({ code: 0, stderr: "" });
});

it("nearest names what is near, and nothing else", () => {
  expect(nearest("tempreature", ["temperature", "top-k"])).toBe("did you mean temperature?");
  expect(nearest("draft", ["draft-tokens", "drafts"])).toBe("did you mean drafts?");
  expect(nearest("modle", ["draft", "model"])).toBe("did you mean model?");
  expect(nearest("banana", ["temperature", "top-k"])).toBeUndefined();
});
