import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SUITES } from "../../src/bench/options.js";
import { makePlan, type PlanOptions } from "../../src/bench/plan.js";
import { openSuite, readPrompts } from "../../src/bench/prompts.js";
import { type LoadedPair, load } from "../../src/load.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { GREEDILY } from "./observations.js";

function file(content: string | Uint8Array): string {
  const path = join(temporaryFolder(), "mine.jsonl");
  writeFileSync(path, content);
  return path;
}

describe("prompts", () => {
  it("are strings, turns, messages or texts", () => {
    const turns = [{ role: "user", content: "Hi" }];
    const lines = ["Hi", turns, { id: 7, messages: turns }, { text: "Once" }].map((value) =>
      JSON.stringify(value),
    );
    expect(readPrompts(file(`${lines.join("\n")}\n\n`))).toEqual({
      name: "mine",
      prompts: [...Array(3).fill({ kind: "chat", messages: turns }), { kind: "text", text: "Once" }],
    });
  });

  it.each<[string, string | Uint8Array, RegExp]>([
    [
      "no JSON",
      '"ok"\nnot json',
      /^--prompts \S+mine\.jsonl, line 2: expected a JSON value, found a mistake \(/,
    ],
    ["a number", "7", /expected a string, turns .* found 7$/],
    ["an empty text", '{"text": " "}', /none of them empty, found an object/],
    ["an answer at the end", '[{"role": "assistant", "content": "Hi"}]', /turns that end with the user's/],
    ["a role that is none", '[{"role": "tool", "content": "Hi"}]', /expected a string, turns/],
    ["nothing", "\n\n", /expected 1 to 1000 prompts, a JSON value a line, found 0/],
    ["too many", '"a"\n'.repeat(1001), /found 1001/],
    ["other bytes", Uint8Array.of(0xff, 0xfe), /found other bytes than UTF-8$/],
  ])("refuses %s", (_, content, message) => {
    expect(() => readPrompts(file(content))).toThrow(expect.objectContaining({ code: "usage" }));
    expect(() => readPrompts(file(content))).toThrow(message);
  });

  it("refuses a folder and what is not there", () => {
    expect(() => readPrompts(temporaryFolder())).toThrow(/found a folder/);
    expect(() => readPrompts("/nowhere.jsonl")).toThrow(/found nothing there/);
  });
});

describe("plans of the embedded pair", () => {
  let pair: LoadedPair;
  beforeAll(async () => {
    pair = await load({ draft: "assistant" });
  });
  afterAll(() => pair[Symbol.dispose]());

  const options = (more: Partial<PlanOptions> = {}): PlanOptions => ({
    suites: [openSuite("chat")],
    draftTokens: [3, 1, 3],
    contexts: [],
    samplings: [GREEDILY],
    filler: "The sea takes and the sea brings.",
    repetitions: 2,
    maxTokens: 8,
    ...more,
  });

  it("every suite of the package can be read, and fits", async () => {
    const { groups } = await makePlan(pair, options({ suites: SUITES.map(openSuite) }));
    expect(groups.map(({ suite }) => suite)).toEqual([...SUITES]);
    expect(Math.min(...groups.flatMap(({ prompts }) => prompts.map(({ length }) => length)))).toBeGreaterThan(
      5,
    );
    expect(groups.at(-1)?.prompts[0]?.length).toBeGreaterThan(4000);
  });

  it("have plain decoding first, every K once, and a group for each context and sampling", async () => {
    const hot = { name: "T=1", options: { ...GREEDILY.options, temperature: 1 } };
    const plan = await makePlan(pair, options({ contexts: [100, 200], samplings: [GREEDILY, hot] }));
    expect(plan.draftTokens).toEqual([0, 1, 3]);
    expect(plan.groups.map(({ context, sampling }) => `${context} ${sampling.name}`)).toEqual([
      ...["100 greedy", "100 T=1", "200 greedy", "200 T=1"],
    ]);
  });

  it("fill prompts to the context, after the beginning of text and before the prompt", async () => {
    const { groups } = await makePlan(pair, options({ contexts: [300] }));
    const own = (await makePlan(pair, options())).groups[0]?.prompts[0] ?? [];
    for (const ids of groups[0]?.prompts ?? []) expect(ids).toHaveLength(300);
    const filled = groups[0]?.prompts[0] ?? [];
    expect(filled[0]).toBe(2);
    expect(filled.filter((id) => id === 2)).toHaveLength(1);
    expect(filled.slice(-own.length + 1)).toEqual(own.slice(1));
    expect(pair.tokenizer?.decode(filled.slice(1, 12))).toMatch(/^The sea takes/);
  });

  it("refuse a context that is shorter than a prompt, or longer than the model", async () => {
    await expect(makePlan(pair, options({ contexts: [4] }))).rejects.toThrow(
      expect.objectContaining({
        code: "usage",
        message: expect.stringMatching(
          /--context: expected at least the \d+ tokens of chat, prompt 1, found 4/,
        ),
      }),
    );
    // A context that no memory holds is refused before anything is filled.
    for (const context of [32768, 99_999_999]) {
      await expect(makePlan(pair, options({ contexts: [context] }))).rejects.toThrow(
        expect.objectContaining({
          code: "context",
          message: expect.stringMatching(`${context} tokens .* 32768 positions`),
        }),
      );
    }
  });
});
