import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { JSON_SCHEMAS } from "../../src/cli/json-schemas.js";
import { load } from "../../src/load.js";
import { PAIR } from "../quantize/helpers.js";
import { withSwappedTokens } from "../support/swapped-tokens.js";
import { mlxGemma, readJson } from "./helpers.js";

const POEM = "Write a poem about the fox.";
/** `I`, which the poem begins with, and `<|channel>`; `The`, which its third line begins with, and `<channel|>`. */
const SWAPS = [
  [321, 8],
  [586, 9],
] as const;
const THOUGHT = "it sang a new song just for me.\n";
const TEXT = /^ waves came along with the tune,\nand .*\.$/;

// The embedded model never thinks. With two words for the marks it does, in all that follows from real weights.
describe("a model that thinks", () => {
  let model: string;
  beforeAll(() => {
    model = withSwappedTokens(join(PAIR, "target"), SWAPS);
    const template = join(model, "chat_template.jinja");
    const asks = "{%- if enable_thinking -%}<|turn>system\nThink.<turn|>\n{%- endif -%}";
    writeFileSync(
      template,
      readFileSync(template, "utf8").replace("{%- for message", `${asks}{%- for message`),
    );
  });
  const chat = (args: readonly string[], lines: readonly string[]) =>
    mlxGemma(["chat", "--model", model, ...args], { input: `${lines.join("\n")}\n` });

  it.each([
    ["plain", []],
    ["drafted", ["--draft", join(PAIR, "assistant")]],
  ])("is told apart from what it says, and its thoughts are not fed back: %s", async (_, draft) => {
    const { code, stdout } = await chat(["--json", "--quiet", ...draft], [POEM, "Hello!"]);
    expect(code).toBe(0);
    const [first, second] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => readJson(JSON_SCHEMAS.chat, `${line}\n`));
    expect(first).toMatchObject({ thoughts: THOUGHT, text: expect.stringMatching(TEXT) });
    expect(first?.tokenIds).toEqual(expect.arrayContaining([8, 9]));
    using pair = await load({ model });
    const asked = await pair.encodeChat([
      { role: "user", content: POEM },
      { role: "assistant", content: first?.text ?? "" },
      { role: "user", content: "Hello!" },
    ]);
    expect(second?.stats.promptTokens).toBe(asked.length);
    // The caches go back to the end of the first prompt, which is where the thought began.
    expect(second?.stats.cachedPromptTokens).toBe(first?.stats.promptTokens);
  });

  it.each([
    ["shown on stderr", [], true],
    ["hidden on demand", ["--hide-thoughts"], false],
    ["no part of --quiet", ["--quiet"], false],
  ])("has thoughts that are %s", async (_, args, shown) => {
    const { code, stdout, stderr } = await chat(args, [POEM]);
    expect(code).toBe(0);
    expect(stdout.replace(/\n$/, "")).toMatch(TEXT);
    expect(stderr.includes(THOUGHT)).toBe(shown);
  });

  it("is asked to think with --think and /think", async () => {
    const promptTokens = async (args: readonly string[], lines: readonly string[]) => {
      const { code, stdout } = await chat(["--json", "--quiet", "-n", "2", ...args], lines);
      expect(code).toBe(0);
      return readJson(JSON_SCHEMAS.chat, stdout).stats.promptTokens;
    };
    const plain = await promptTokens([], [POEM]);
    const asked = await promptTokens(["--think"], [POEM]);
    expect(asked).toBeGreaterThan(plain);
    expect(await promptTokens([], ["/think on", POEM])).toBe(asked);
    expect(await promptTokens(["--think"], ["/think off", POEM])).toBe(plain);
  });
});
