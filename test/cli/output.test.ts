import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { JSON_SCHEMAS } from "../../src/cli/json-schemas.js";
import { EMBEDDED, FOX, GREEN, generate, mlxGemma, ROOT, readJson } from "./helpers.js";

async function json(...args: string[]) {
  const { code, stdout, stderr } = await generate(["--json", ...args]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return readJson(JSON_SCHEMAS.generate, stdout);
}

const SHORT = ["-n", "24", FOX];

describe("through pipes", () => {
  it("gives the answer alone: no colours, no spinner, no statistics", async () => {
    const { code, stdout, stderr } = await generate(["--draft", "assistant", ...SHORT]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[A-Z][\s\S]{40,}\n$/);
    expect(stdout).not.toContain("\u001b");
    expect(stderr).toBe("");
  });

  it("gives the same text with and without an assistant, and as JSON says", async () => {
    const plain = await generate(SHORT);
    const drafted = await generate(["--draft", `${EMBEDDED}/assistant`, "--draft-tokens", "6", ...SHORT]);
    const { text } = await json(...SHORT);
    expect(drafted.stdout).toBe(plain.stdout);
    expect(plain.stdout).toBe(text.endsWith("\n") ? text : `${text}\n`);
  });

  it("streams characters of many bytes whole", async () => {
    // So hot that tokens of single bytes come too.
    const args = ["--raw", "-t", "60", "--seed", "3", "--ignore-eos", "-n", "80", "Grüße an 東京 🦊"];
    const { text } = await json(...args);
    expect(Buffer.byteLength(text)).toBeGreaterThan(text.length);
    expect((await generate(args)).stdout).toBe(text.endsWith("\n") ? text : `${text}\n`);
  });

  it.each([
    ["with -", ["-"], FOX],
    ["without an argument", [], `${FOX}\n`],
    ["from Windows", [], `\ufeff${FOX}\r\n`],
  ])("reads the prompt from stdin %s", async (_, args, input) => {
    const { code, stdout } = await generate(["-n", "8", ...args], { input });
    expect(code).toBe(0);
    expect(stdout).toBe((await generate(["-n", "8", FOX])).stdout);
  });

  it("ends quietly with 0 when the reader has seen enough", async () => {
    const { code, stderr } = await generate(["--ignore-eos", "-n", "5000", FOX], { closeStdout: true });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  it("writes --stats to a stderr that is no terminal", async () => {
    const { stdout, stderr } = await generate(["--draft", "assistant", "--stats", ...SHORT]);
    expect(stderr).toMatch(/^24 tokens, cut at --max-tokens · [\d.]+ tok\/s · .*exact: .*\n/);
    expect(stderr).toMatch(/drafts accepted +\d+ of \d+\n/);
    expect(stderr).not.toContain("\u001b");
    expect(stdout).not.toContain("tok/s");
  });

  it("colours accepted drafts with --color always, and only them", async () => {
    const { stdout } = await generate([
      "--draft",
      "assistant",
      "--show-drafts",
      "--color",
      "always",
      ...SHORT,
    ]);
    const plain = await generate(SHORT);
    expect(stdout).toContain(GREEN);
    expect(stdout.indexOf(GREEN)).toBeGreaterThan(0); // The first token is the target's own.
    expect(stripVTControlCharacters(stdout)).toBe(plain.stdout);
  });

  it("takes FORCE_COLOR, and NO_COLOR before it", async () => {
    const args = ["--draft", "assistant", "--show-drafts", "-n", "8", "--quiet", FOX];
    expect((await generate(args, { env: { FORCE_COLOR: "1" } })).stdout).toContain(GREEN);
    const none = await generate(args, { env: { FORCE_COLOR: "1", NO_COLOR: "1" } });
    expect(none.stdout).not.toContain("\u001b");
  });

  it("tells options that do nothing, --quiet too", async () => {
    const args = ["--draft", "assistant", "--draft-tokens", "0", "--top-k", "4", "-n", "3", "Hi"];
    const { code, stderr } = await generate(args);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^mlx-gemma: warning: --draft-tokens 0: .*plain decoding \[drafting-off\]\n.*--top-k does nothing.* \[option-ignored\]\n$/,
    );
    expect((await generate(["--quiet", ...args])).stderr).toBe(stderr);
  });
});

describe("--json", () => {
  it("prints one object by its schema, whose account adds up", async () => {
    const { stats, tokenIds, stopReason, promptTokenIds, assistant } = await json(
      "--draft",
      "assistant",
      "--draft-tokens",
      "3",
      ...SHORT,
    );
    expect(assistant?.folder).toMatch(/tiny-gemma4.assistant$/);
    expect(assistant?.why).toMatch(/^beside .*tiny-gemma4.target$/);
    expect(stopReason).toBe("max tokens");
    expect(tokenIds).toHaveLength(24);
    expect(stats).toMatchObject({ tokens: 24, draftTokens: 3, promptTokens: promptTokenIds.length });
    expect(stats.accepted).toBeLessThanOrEqual(stats.proposed);
    expect(stats.tokens).toBeLessThanOrEqual(1 + stats.accepted + stats.targetSteps);
    expect(stats.acceptanceByPosition).toHaveLength(3);
  });

  it("has warnings in it", async () => {
    const { stdout } = await generate(["--json", "--top-p", "0.5", "-n", "2", "Hi"]);
    expect(readJson(JSON_SCHEMAS.generate, stdout).warnings).toEqual([
      { code: "option-ignored", message: expect.stringMatching(/--top-p does nothing/) },
    ]);
  });

  it("stops at end-of-sequence, and goes on with --ignore-eos", async () => {
    const answer = await json("Hi");
    expect(answer.stopReason).toBe("eos");
    const on = await json("--ignore-eos", "-n", String(answer.tokenIds.length + 5), "Hi");
    expect(on.stopReason).toBe("max tokens");
    expect(on.tokenIds.slice(0, answer.tokenIds.length)).toEqual(answer.tokenIds);
  });

  it.each([[[]], [["--draft", "assistant"]]])(
    "prints and counts nothing past a stop text %j",
    async (draft) => {
      const whole = await json("-n", "60", FOX);
      const stop = whole.text.slice(30, 36);
      const cut = await json(...draft, "-n", "60", "--stop", "never there", "--stop", stop, FOX);
      expect(cut.stopReason).toBe("stop string");
      expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
      expect(cut.tokenIds).toEqual(whole.tokenIds.slice(0, cut.tokenIds.length));
      expect(cut.stats.tokens).toBe(cut.tokenIds.length);
      expect(cut.stats.tokens).toBeLessThanOrEqual(1 + cut.stats.accepted + cut.stats.targetSteps);
    },
  );

  it("repeats a sampled text with the same seed, not with another", async () => {
    const sample = async (seed: string) =>
      (await json("--draft", "assistant", "-t", "1.5", "--top-p", "0.95", "--seed", seed, ...SHORT)).tokenIds;
    const first = await sample("7");
    expect(await sample("7")).toEqual(first);
    expect(await sample("8")).not.toEqual(first);
  });

  it("takes ids as they are", async () => {
    const { promptTokenIds, tokenIds } = await json("-n", "8", FOX);
    const again = await json("-n", "8", "--prompt-ids", promptTokenIds.join(","));
    expect(again.promptTokenIds).toEqual(promptTokenIds);
    expect(again.tokenIds).toEqual(tokenIds);
    expect((await json("-n", "1", "--prompt-ids", "300")).promptTokenIds).toEqual([300]);
  });

  it("shows the template, --system and --raw in the prompt's ids", async () => {
    const ids = async (...args: string[]) => (await json("-n", "1", ...args, "Hi")).promptTokenIds;
    const [turn, system, raw] = [await ids(), await ids("--system", "Be brief."), await ids("--raw")];
    expect(system.length).toBeGreaterThan(turn.length);
    expect(raw.length).toBeLessThan(turn.length);
    expect([turn[0], system[0], raw[0]]).toEqual([2, 2, 2]);
  });

  it.each([
    ["--dtype", "f32"],
    ["--dtype", "f16"],
    ["--dtype", "bf16"],
    ["--threads", "1"],
    ["--chunk-size", "3"],
  ])("runs with %s %s", async (...option) => {
    const { tokenIds } = await json("--draft", "assistant", ...option, "-n", "6", FOX);
    expect(tokenIds).toHaveLength(6);
  });
});

describe("a folder without a tokenizer", () => {
  const model = `${ROOT}test/golden/e-style/target`;

  it("gives ids, one a line, and says so", async () => {
    const { code, stdout, stderr } = await generate([
      "--model",
      model,
      "--draft",
      "assistant",
      "--prompt-ids",
      "2,5,7",
      "-n",
      "4",
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^(\d+\n){4}$/);
    expect(stderr).toMatch(
      /^mlx-gemma: warning: .* \[tokenizers-not-compared\]\n.* no tokenizer\.json: .* \[no-tokenizer\]\n$/,
    );
  });

  it("ends where the model has no more positions", async () => {
    const ids = Array.from({ length: 2040 }, (_, index) => 2 + (index % 300)).join(",");
    const { stdout } = await generate([
      "--model",
      model,
      "--draft",
      "assistant",
      "--prompt-ids",
      ids,
      "--json",
      "--quiet",
    ]);
    const { stopReason, tokenIds, text } = readJson(JSON_SCHEMAS.generate, stdout);
    expect(stopReason).toBe("context full");
    expect(tokenIds).toHaveLength(2048 - 2040 + 1);
    expect(text).toBe("");
  });
});

describe("--help and --version", () => {
  it("are on stdout and end with 0", async () => {
    const help = await mlxGemma(["generate", "--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    for (const word of ["--draft-tokens <K>", "Exit codes:", "130", "Examples:"])
      expect(help.stdout).toContain(word);
    expect(await mlxGemma(["--version"])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^mlx-gemma \d+\.\d+\.\d+\nMLX \d+\.\d+\.\d+ \(mlx\w*\)\ncheckpoints: .+\n$/,
      ),
    });
  });
});
