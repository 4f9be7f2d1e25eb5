import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { JSON_SCHEMAS } from "../../src/cli/json-schemas.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { EMBEDDED, generate, mlxGemma, readJson } from "./helpers.js";

const STRICT = 13;
const GOLDEN = "test/golden/quantized";
const IDS = ["--prompt-ids", "2,5,7", "-n", "3"];
const PACKED = ["--model", `${GOLDEN}/target`, "--draft", `${GOLDEN}/assistant`];
const PACKED_CODES = ["packed-target", "tokenizers-not-compared", "no-tokenizer"];

/** The embedded target where no assistant is. */
function alone(): string {
  const folder = join(temporaryFolder(), "alone");
  mkdirSync(folder);
  cpSync(`${EMBEDDED}/target`, folder, { recursive: true });
  return folder;
}

const codesIn = (stderr: string) =>
  stderr.split("\n").flatMap((line) => /^mlx-gemma: warning: .* \[([a-z-]+)\]$/.exec(line)?.[1] ?? []);

describe("a warning", () => {
  it("is a line with its code on stderr, --quiet too, and an entry in JSON; stdout is the answer's", async () => {
    const { code, stdout, stderr } = await generate([...PACKED, ...IDS, "--quiet"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^(\d+\n){3}$/);
    expect(codesIn(stderr)).toEqual(PACKED_CODES);
    expect(stderr.split("\n")).toHaveLength(PACKED_CODES.length + 1);
    const json = await generate([...PACKED, ...IDS, "--json"]);
    const { warnings } = readJson(JSON_SCHEMAS.generate, json.stdout);
    expect(warnings.map(({ code }) => code)).toEqual(PACKED_CODES);
    expect(json.stderr).toBe(stderr);
  });

  it("is one line of an error with --strict, before anything is written; --allow lets it pass in silence", async () => {
    const refused = await generate([...PACKED, ...IDS, "--strict"]);
    expect(refused).toMatchObject({ code: STRICT, stdout: "" });
    expect(refused.stderr).toMatch(/^mlx-gemma: --strict: expected no warning, found .*\n$/);
    for (const code of PACKED_CODES) expect(refused.stderr).toContain(`[${code}]`);
    const passed = await generate([...PACKED, ...IDS, "--strict", "--allow", PACKED_CODES.join(",")]);
    expect(passed).toMatchObject({ code: 0, stderr: "" });
    const told = await generate([...PACKED, ...IDS, "--allow", PACKED_CODES.join(","), "--json"]);
    expect(readJson(JSON_SCHEMAS.generate, told.stdout).warnings).toHaveLength(PACKED_CODES.length);
    expect(told.stderr).toBe("");
  });

  it("is asked for in the environment and in mlx-gemma.json, as every option", async () => {
    const idle = ["--top-k", "4", "-n", "2", "Hi"];
    const refused = await generate(idle, { env: { MLX_GEMMA_STRICT: "1" } });
    expect(refused).toMatchObject({ code: STRICT, stdout: "" });
    expect(refused.stderr).toContain("[option-ignored]");
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, "mlx-gemma.json"),
      JSON.stringify({ strict: true, allow: ["option-ignored"] }),
    );
    expect(await generate(idle, { cwd: folder })).toMatchObject({ code: 0, stderr: "" });
    const both = await generate(["--draft", "assistant", "--draft-tokens", "0", ...idle], { cwd: folder });
    expect(both).toMatchObject({ code: STRICT, stdout: "" });
    expect(both.stderr).toContain("[drafting-off]");
  });

  it("has a code that --allow knows", async () => {
    const { code, stderr } = await generate(["--allow", "packed", "Hi"]);
    expect(code).toBe(2);
    expect(stderr).toBe(
      'mlx-gemma: --allow: expected codes of warnings, such as packed-target,no-chat-template, found "packed"\n',
    );
  });

  it("of a missing template matters where a template is used", async () => {
    const model = alone();
    rmSync(join(model, "chat_template.jinja"), { force: true });
    const args = ["--model", model, "-n", "2", "--strict"];
    const refused = await generate([...args, "Hi"]);
    expect(refused.code).toBe(STRICT);
    expect(refused.stderr).toContain("[no-chat-template]");
    expect(await generate([...args, "--raw", "Hi"])).toMatchObject({ code: 0, stderr: "" });
    expect(await generate([...args, "--prompt-ids", "2,5"])).toMatchObject({ code: 0, stderr: "" });
  });

  it("comes after the answer where the context ends", async () => {
    const prompt = Array.from({ length: 2040 }, (_, index) => 2 + (index % 300)).join(",");
    const args = ["--model", "test/golden/e-style/target", "--draft", "assistant", "--prompt-ids", prompt];
    const { stdout, stderr } = await generate([...args, "--draft-tokens", "3", "--ignore-eos"]);
    expect(stdout).toMatch(/^(\d+\n)+$/);
    expect(codesIn(stderr).slice(-2)).toEqual(["draft-tokens-cut", "context-full"]);
  });
});

describe("--draft auto", () => {
  it("is plain decoding with a warning where no assistant is, an error with --strict", async () => {
    const model = alone();
    const args = ["--model", model, "--draft", "auto", "--draft-tokens", "4", "--offline", "-n", "4", "Hi"];
    const { code, stdout, stderr } = await generate([...args, "--json"]);
    expect(code).toBe(0);
    const { stats, warnings } = readJson(JSON_SCHEMAS.generate, stdout);
    expect(stats.draftTokens).toBe(0);
    expect(warnings.map(({ code }) => code)).toEqual(["no-assistant"]);
    expect(codesIn(stderr)).toEqual(["no-assistant"]);
    expect(await generate([...args, "--strict"])).toMatchObject({ code: STRICT, stdout: "" });
    const chat = await mlxGemma(["chat", ...args.slice(0, -1), "--json"], { input: "Hi\n" });
    expect(readJson(JSON_SCHEMAS.chat, chat.stdout).warnings).toEqual(warnings);
  });

  it("drafts where one is", async () => {
    const { stdout, stderr } = await generate(["--draft", "auto", "--json", "-n", "4", "Hi"]);
    const { stats, warnings } = readJson(JSON_SCHEMAS.generate, stdout);
    expect(stats.draftTokens).toBe("auto");
    expect([warnings, stderr]).toEqual([[], ""]);
  });
});

describe("the same codes", () => {
  it("come from chat, with each answer, and with --strict end it", async () => {
    const args = ["chat", "--json", "--context", "60", "-n", "500"];
    const { code, stdout, stderr } = await mlxGemma(args, { input: "Tell me a story.\n" });
    expect(code).toBe(0);
    expect(readJson(JSON_SCHEMAS.chat, stdout).warnings.map(({ code }) => code)).toEqual(["context-full"]);
    expect(codesIn(stderr)).toEqual(["context-full"]);
    const strict = await mlxGemma([...args, "--strict"], { input: "Tell me a story.\n" });
    expect(strict).toMatchObject({ code: STRICT, stdout: "" });
  });

  it("come from inspect-weights --pair, bench and doctor --exact", async () => {
    const pair = ["inspect-weights", `${GOLDEN}/target`, "--pair", `${GOLDEN}/assistant`];
    const inspected = await mlxGemma([...pair, "--json"]);
    const view = readJson(JSON_SCHEMAS["inspect-weights"], inspected.stdout);
    if (view.view !== "pair") throw new Error("another view");
    const codes = view.warnings.map(({ code }) => code);
    expect(codes).toEqual(["packed-target", "tokenizers-not-compared"]);
    expect(codesIn(inspected.stderr)).toEqual(codes);
    expect((await mlxGemma([...pair, "--strict"])).code).toBe(STRICT);
    expect(await mlxGemma([...pair, "--strict", "--allow", codes.join(",")])).toMatchObject({
      code: 0,
      stderr: "",
    });

    const model = alone();
    const few = ["--suite", "chat", "-n", "2", "-r", "1", "--draft", "auto", "--model", model, "--offline"];
    const bench = await mlxGemma(["bench", ...few, "--json", "--quiet"]);
    expect(JSON_SCHEMAS.bench.parse(JSON.parse(bench.stdout)).warnings.map(({ code }) => code)).toEqual([
      "no-assistant",
    ]);
    expect(codesIn(bench.stderr)).toEqual(["no-assistant"]);

    const doctor = await mlxGemma(["doctor", "--exact", "--offline", ...PACKED, "--json"]);
    expect(readJson(JSON_SCHEMAS.doctor, doctor.stdout).warnings.map(({ code }) => code)).toEqual(
      PACKED_CODES,
    );
    expect(codesIn(doctor.stderr)).toEqual(PACKED_CODES);
  });
});
