import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EMBEDDED, generate, mlxGemma, ROOT } from "./helpers.js";

/** A mistake ends with its exit code and one line on stderr; stdout stays empty. */
async function mistake(args: readonly string[], code: number, line: RegExp, input = ""): Promise<void> {
  const outcome = await generate(args, { input });
  expect(outcome.stderr).toMatch(/^mlx-gemma: [^\n]+\n$/);
  expect(outcome.stderr).toMatch(line);
  expect(outcome).toMatchObject({ code, stdout: "" });
}

describe("a wrong option", () => {
  it.each<[string[], RegExp]>([
    [
      ["--tempreature", "1", "x"],
      /unknown option '--tempreature' \(Did you mean --temperature\?\); see .*--help/,
    ],
    [["-5 degrees is cold"], /a prompt that begins with a dash goes after --/],
    [["two", "prompts"], /too many arguments.*; put the prompt in quotes/],
    [["--max-tokens"], /'-n, --max-tokens <N>' argument missing/],
    [["--max-tokens", "0", "x"], /--max-tokens: expected a whole number of at least 1, found "0"/],
    [
      ["--draft-tokens", "-1", "x"],
      /--draft-tokens \(or auto\): expected a whole number from 0 to 15, found "-1"/,
    ],
    [
      ["--draft-tokens", "16", "x"],
      /--draft-tokens \(or auto\): expected a whole number from 0 to 15, found "16"/,
    ],
    [
      ["--draft-tokens", "2.5", "x"],
      /--draft-tokens \(or auto\): expected a whole number from 0 to 15, found "2.5"/,
    ],
    [["--draft-tokens", "3", "x"], /--draft-tokens: 3 needs a drafter, found none; give --draft assistant/],
    [["--draft", "none", "--draft-tokens", "3", "x"], /3 needs a drafter, found none/],
    [["--temperature", "warm", "x"], /--temperature: expected a number from 0 to 100, found "warm"/],
    [["--temperature", "", "x"], /--temperature: expected a number from 0 to 100, found ""/],
    [["--temperature", "NaN", "x"], /--temperature: .* found "NaN"/],
    [["--top-k", "-1", "x"], /--top-k: expected a whole number of at least 0, found "-1"/],
    [["--top-p", "0", "x"], /--top-p: expected a number above 0, at most 1, found "0"/],
    [["--min-p", "1.1", "x"], /--min-p: expected a number from 0 to 1, found "1.1"/],
    [["--seed", "4294967296", "x"], /--seed: expected a whole number from 0 to 4294967295/],
    [["--stop", "", "x"], /--stop: expected a text, found ""/],
    [["--dtype", "fp8", "x"], /--dtype: expected bf16, f16 or f32, found "fp8"/],
    [["--color", "blue", "x"], /--color: expected auto, always or never, found "blue"/],
    [["--threads", "-1", "x"], /--threads: expected a whole number from 0 to 1024, found "-1"/],
    [["--prompt-ids", "2,five"], /--prompt-ids: expected token ids such as 2,5,7, found "five"/],
    [["--prompt-ids", ""], /--prompt-ids: expected token ids such as 2,5,7, found ""/],
    [["--prompt-ids", "2,4096"], /prompt token id 4096 is not in the vocabulary \(0 … 4095\)/],
    [["--prompt-ids", "2", "a text"], /expected a prompt or --prompt-ids, found both/],
    [["--prompt-ids", "2", "--raw"], /'--raw' cannot be used with option '--prompt-ids <ids>'/],
    [["--raw", "--system", "s", "x"], /'--system <text>' cannot be used with option '--raw'/],
    [["--quiet", "--stats", "x"], /'--stats' cannot be used with option '-q, --quiet'/],
    [["--json", "--show-drafts", "x"], /'--show-drafts' cannot be used with option '--json'/],
  ])("%j", (args, line) => mistake(args, 2, line));

  it.each([["--version"], ["generate", "x"], ["models", "rm", "--help"]])(
    "%s in a folder that was removed is told in a line",
    (...args) => {
      const gone = mkdtempSync(join(tmpdir(), "mlx-gemma-gone-"));
      const bin = join(ROOT, "bin/mlx-gemma.js");
      const script = 'rmdir "$1" && shift && exec "$@"';
      const outcome = spawnSync("sh", ["-c", script, "sh", gone, process.execPath, bin, ...args], {
        cwd: gone,
        encoding: "utf8",
      });
      expect(outcome).toMatchObject({
        status: 2,
        stdout: "",
        stderr: "mlx-gemma: the current folder is not there any more; change to one that is\n",
      });
    },
  );

  it("of the environment: kernels that this processor hasn't", async () => {
    const outcome = await generate(["x"], { env: { MLX_GEMMA_ISA: "sse" } });
    expect(outcome).toMatchObject({ code: 2, stdout: "" });
    expect(outcome.stderr).toMatch(
      /^mlx-gemma: MLX_GEMMA_ISA=sse: this processor has no such instruction set; .*; unset it, or name another\n$/,
    );
  });

  it.each(["17", "-1", "8 rows"])(
    "of the environment: steps of %s rows, before any weights are read",
    async (rows) => {
      const outcome = await generate(["x"], { env: { MLX_GEMMA_STEP_ROWS: rows, MLX_GEMMA_ISA: "mlx" } });
      expect(outcome).toEqual({
        code: 2,
        stdout: "",
        stderr: `mlx-gemma: MLX_GEMMA_STEP_ROWS=${rows}: expected 0 to 16; unset it, or name another\n`,
      });
    },
  );
});

describe("a prompt that is none", () => {
  it.each<[string, string[], RegExp, string]>([
    ["empty", [""], /found an empty one; usage: mlx-gemma generate \[options\] \[prompt\]/, ""],
    ["of spaces", ["  "], /found an empty one; usage: /, ""],
    ["an empty pipe", [], /found nothing on stdin; usage: /, ""],
    ["an empty -", ["-"], /found nothing on stdin; usage: /, "\n"],
  ])("%s", (_, args, line, input) => mistake(args, 2, line, input));

  it("bytes that are no text", async () => {
    const outcome = await generate([], { input: Uint8Array.of(0x48, 0xff, 0xfe) });
    expect(outcome).toMatchObject({ code: 2, stdout: "" });
    expect(outcome.stderr).toMatch(
      /^mlx-gemma: stdin: expected a prompt in UTF-8, found other bytes;[^\n]*\n$/,
    );
  });

  it("longer than the model's positions", () => {
    const ids = Array.from({ length: 2048 }, () => 5).join(",");
    const model = `${ROOT}test/golden/e-style/target`;
    return generate(["--quiet", "--allow", "no-tokenizer", "--model", model, "--prompt-ids", ids]).then(
      (outcome) => {
        expect(outcome).toMatchObject({ code: 6, stdout: "" });
        expect(outcome.stderr).toMatch(
          /^mlx-gemma: the prompt has 2048 tokens, .* 2048, .*shorten the prompt\n$/,
        );
      },
    );
  });
});

/** Weights of which fifty are NaN. */
function withNaN(bytes: Buffer): Buffer {
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header: Record<string, { data_offsets: number[] }> = JSON.parse(bytes.toString("utf8", 8, end));
  const [name = ""] = Object.keys(header).filter((key) =>
    key.endsWith("layers.1.per_layer_input_gate.weight"),
  );
  const [begin = 0] = header[name]?.data_offsets ?? [];
  for (let i = 0; i < 50; i++) bytes.writeUInt16LE(0x7fc0, end + begin + 2 * i);
  return bytes;
}

describe("a wrong folder", () => {
  let root: string;
  const broken = (name: string) => join(root, name);

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "mlx-gemma-cli-"));
    mkdirSync(broken("empty"));
    cpSync(`${EMBEDDED}/target`, broken("truncated"), { recursive: true });
    const weights = join(broken("truncated"), "model.safetensors");
    writeFileSync(weights, readFileSync(weights).subarray(0, -1000));
    cpSync(`${EMBEDDED}/target`, broken("nan"), { recursive: true });
    writeFileSync(
      join(broken("nan"), "model.safetensors"),
      withNaN(readFileSync(`${EMBEDDED}/target/model.safetensors`)),
    );
    mkdirSync(broken("config"));
    writeFileSync(join(broken("config"), "config.json"), "{ not json");
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it.each<[string, () => string[], number, RegExp]>([
    [
      "that is not there",
      () => ["--model", broken("nowhere")],
      3,
      /nowhere: expected .* found nothing there; check/,
    ],
    [
      "of a misspelt word as --draft",
      () => ["--draft", "asistant"],
      3,
      /asistant: expected .* nothing there; did you mean assistant\?; words that draft takes: assistant, auto, none/,
    ],
    [
      "that is empty",
      () => ["--model", broken("empty")],
      3,
      /expected config\.json in the folder, found none/,
    ],
    [
      "with a truncated file",
      () => ["--model", broken("truncated")],
      3,
      /model\.safetensors: expected .* found /,
    ],
    [
      "with weights that are no numbers",
      () => ["--model", broken("nan")],
      3,
      /the prompt's logits: expected numbers, found NaN: .*inspect-weights --check.*dtype/,
    ],
    ["with a broken config", () => ["--model", broken("config")], 3, /config\.json: /],
    [
      "that is an assistant",
      () => ["--model", `${EMBEDDED}/assistant`],
      2,
      /expected a Gemma 4 target, found an assist/,
    ],
    [
      "of a target as --draft",
      () => ["--draft", `${EMBEDDED}/target`],
      2,
      /expected a Gemma 4 assistant, found a target/,
    ],
    [
      "that is no pair",
      () => ["--draft", `${ROOT}test/golden/e-style/assistant`],
      4,
      /do not fit: hidden size: .* give the/,
    ],
    [
      "without an assistant",
      () => ["--model", broken("truncated"), "--draft", "assistant"],
      3,
      /: expected /,
    ],
    [
      "without a tokenizer",
      () => ["--model", `${ROOT}test/golden/e-style/target`],
      3,
      /no tokenizer\.json.*--prompt-ids/,
    ],
  ])("%s", (_, args, code, line) => mistake([...args(), "Hi"], code, line));
});

describe("a wrong command", () => {
  it.each<[string[], RegExp]>([
    [["help", "nope"], /unknown command 'nope'; see mlx-gemma --help/],
    [["help", "genrate"], /unknown command 'genrate' \(did you mean generate\?\); see mlx-gemma --help/],
    [["help", "models", "nope"], /unknown command 'nope'; see mlx-gemma --help/],
    [["genrate", "x"], /unknown command 'genrate' \(Did you mean generate\?\); see mlx-gemma --help/],
    [["--json"], /unknown option '--json'; see mlx-gemma --help/],
    [
      ["models", "remove", "x"],
      /unknown command 'models remove'; there are mlx-gemma models and .* models rm/,
    ],
    [["models", "rm"], /missing required argument 'repository'; see mlx-gemma models rm --help/],
  ])("%j", async (args, line) => {
    const { code, stdout, stderr } = await mlxGemma(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^mlx-gemma: [^\n]+\n$/);
    expect(stderr).toMatch(line);
  });

  it("is told, with the one that may be meant", async () => {
    const { code, stdout, stderr } = await mlxGemma(["generat", "Hi"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^mlx-gemma: unknown command 'generat' \(Did you mean generate\?\);[^\n]*\n$/);
  });

  it("that is missing shows the help on stderr", async () => {
    const { code, stdout, stderr } = await mlxGemma([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^Usage: mlx-gemma/);
  });
});
