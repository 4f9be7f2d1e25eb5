import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type AnswerOptions,
  Conversation,
  type ConversationEvent,
  type ConversationOptions,
} from "../../src/chat/conversation.js";
import { type LoadedPair, load } from "../../src/load.js";
import { fakePair, scriptedTarget } from "../support/fakes.js";
import { run } from "../support/generation.js";
import { heldOutPrompts } from "../support/held-out.js";

/** The embedded target's. */
const WINDOW = 64;
const DRAFTS = [0, 3, 6];
const prompts = heldOutPrompts();
const prompt = (index: number) => prompts[index % prompts.length] ?? "";

let pair: LoadedPair;
let chat: Conversation;

beforeAll(async () => {
  pair = await load({ draft: "assistant" });
});
afterAll(() => pair[Symbol.dispose]());
beforeEach(() => open());
afterEach(() => chat[Symbol.dispose]());

function open(options?: ConversationOptions): void {
  chat = new Conversation(pair, options);
}

type EndEvent = Extract<ConversationEvent, { readonly type: "end" }>;

async function all(events: AsyncIterable<ConversationEvent>): Promise<ConversationEvent[]> {
  const list: ConversationEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

async function endOf(events: AsyncIterable<ConversationEvent>): Promise<EndEvent> {
  const end = (await all(events)).at(-1);
  if (end?.type !== "end") throw new Error("no end event");
  return end;
}

const ask = (text: string, options?: AnswerOptions) => endOf(chat.send(text, options));

/** What a fresh prefill of the same ids gives by plain decoding. */
async function fresh(text: string, maxTokens: number) {
  const { system } = chat;
  const first = system === undefined ? [] : [{ role: "system" as const, content: system }];
  const promptIds = await pair.encodeChat([...first, ...chat.messages, { role: "user", content: text }]);
  const { tokenIds } = await run(pair, { promptIds, maxTokens, draftTokens: 0 });
  return { promptIds, tokenIds };
}

describe.each(DRAFTS)("a conversation with K = %d", (draftTokens) => {
  it("prefills new tokens only, and says what a fresh prefill says, far past the window", async () => {
    open({ system: "Be brief." });
    let total = 0;
    for (let turn = 0; turn < 5; turn++) {
      const held = chat.cachedTokens;
      const expected = await fresh(prompt(turn), 90);
      const { tokenIds, stats } = await ask(prompt(turn), { draftTokens, maxTokens: 90 });
      expect(tokenIds, `turn ${turn}`).toEqual(expected.tokenIds);
      expect(stats.promptTokens).toBe(expected.promptIds.length);
      // What a round decided past the end of the answer is in the caches, too, and goes.
      expect(stats.cachedPromptTokens).toBeLessThanOrEqual(held);
      expect(stats.cachedPromptTokens).toBeGreaterThan(held - draftTokens - 2);
      total = stats.promptTokens;
    }
    expect(total).toBeGreaterThan(3 * WINDOW);
  });

  it("answers the same after undo and after an interruption", async () => {
    await ask(prompt(1), { draftTokens, maxTokens: 80 });
    await ask(prompt(2), { draftTokens, maxTokens: 80 });
    expect(chat.undo()).toBe(prompt(2));
    expect(chat.messages).toHaveLength(2);
    const controller = new AbortController();
    let written = 0;
    const events = chat.send(prompt(3), { draftTokens, signal: controller.signal });
    for await (const event of events) {
      if (event.type === "tokens") written += event.ids.length;
      if (written > 20) controller.abort();
      if (event.type === "end") expect(event.stopReason).toBe("aborted");
    }
    expect(chat.messages.at(-1)?.content.length).toBeGreaterThan(20);
    const expected = await fresh(prompt(4), 60);
    const { tokenIds, stats } = await ask(prompt(4), { draftTokens, maxTokens: 60 });
    expect(tokenIds).toEqual(expected.tokenIds);
    expect(stats.cachedPromptTokens).toBeGreaterThan(WINDOW);
  });

  it("answers anew from the prompt's end, however long the answer was", async () => {
    await ask(prompt(5), { draftTokens, maxTokens: 40 });
    const options = { draftTokens, maxTokens: 350, temperature: 2, seed: 1 };
    const first = await ask(prompt(6), options);
    const again = await endOf(chat.regenerate({ ...options, seed: 2 }));
    expect(again.stats.cachedPromptTokens).toBe(again.stats.promptTokens - 1);
    expect(again.tokenIds).not.toEqual(first.tokenIds);
    const back = await endOf(chat.regenerate(options));
    expect(back.tokenIds).toEqual(first.tokenIds);
    expect(chat.messages.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant"]);
  });
});

describe("an answer anew", () => {
  const options = { maxTokens: 24, temperature: 2, draftTokens: 0 };

  it("is another one each time where it is sampled without a seed", async () => {
    const answers = [await ask(prompt(7), options)];
    for (let i = 0; i < 3; i++) answers.push(await endOf(chat.regenerate(options)));
    expect(new Set(answers.map(({ tokenIds }) => tokenIds.join())).size).toBe(4);
    for (const [seed, { tokenIds }] of answers.entries())
      expect((await endOf(chat.regenerate({ ...options, seed }))).tokenIds).toEqual(tokenIds);
  });

  it("counts from the beginning for another message", async () => {
    await ask(prompt(7), options);
    await endOf(chat.regenerate(options));
    await ask(prompt(8), options);
    const again = await endOf(chat.regenerate(options));
    expect(again.tokenIds).toEqual((await endOf(chat.regenerate({ ...options, seed: 1 }))).tokenIds);
    chat.undo();
    const anew = await endOf(chat.regenerate(options));
    expect(anew.tokenIds).toEqual((await endOf(chat.regenerate({ ...options, seed: 1 }))).tokenIds);
  });
});

it("generators that are made before they are read lose nothing", async () => {
  const options = { maxTokens: 4 };
  const [first, second] = [chat.send(prompt(0), options), chat.send(prompt(1), options)];
  for (const events of [first, second]) await endOf(events);
  expect(chat.messages.map(({ content }, index) => index % 2 === 0 && content)).toEqual([
    prompt(0),
    false,
    prompt(1),
    false,
  ]);
  const [again, third] = [chat.regenerate(options), chat.send(prompt(2), options)];
  await endOf(third);
  await endOf(again);
  expect(chat.messages.at(-2)?.content).toBe(prompt(2));
  expect(chat.messages).toHaveLength(6);
});

describe("a context that is full", () => {
  const CONTEXT = 480;
  const options = { maxTokens: 40 };

  it("loses its oldest turns, says so, and keeps the system turn", async () => {
    open({ system: "You are a fox.", contextTokens: CONTEXT });
    const dropped: number[] = [];
    for (let turn = 0; turn < 14; turn++) {
      const events = await all(chat.send(prompt(turn), options));
      const [first] = events;
      const end = events.at(-1);
      if (end?.type !== "end") throw new Error("no end event");
      expect(end.stats.promptTokens + end.tokenIds.length).toBeLessThanOrEqual(CONTEXT);
      if (first?.type !== "dropped") {
        expect(end.warnings).toEqual([]);
        continue;
      }
      expect(first.warning.code).toBe("turns-dropped");
      expect(first.warning.message).toContain(`the oldest ${first.messages / 2} turn`);
      expect(end.warnings).toEqual([first.warning]);
      dropped.push(first.messages);
      expect(first.messages % 2).toBe(0);
      expect(end.stats.promptTokens).toBeLessThanOrEqual(CONTEXT / 2);
      const held = [
        { role: "system" as const, content: "You are a fox." },
        ...chat.messages.slice(chat.dropped, -1),
      ];
      const promptIds = await pair.encodeChat(held);
      expect(end.stats.promptTokens).toBe(promptIds.length);
      expect(end.tokenIds).toEqual((await run(pair, { promptIds, maxTokens: 40 })).tokenIds);
    }
    expect(dropped.length).toBeGreaterThan(1);
    // Rarely: between two, many turns go on from what is kept.
    expect(dropped.length).toBeLessThan(6);
    expect(chat.messages).toHaveLength(28);
    expect(chat.dropped).toBe(dropped.reduce((sum, n) => sum + n, 0));
  });

  it("ends an answer that would pass it", async () => {
    open({ contextTokens: 60 });
    const long = { maxTokens: 500, draftTokens: 0 };
    const { stopReason, stats, tokenIds, warnings } = await ask(prompt(0), long);
    expect(stopReason).toBe("context full");
    expect(stats.promptTokens + tokenIds.length).toBe(60);
    expect(warnings.map(({ code }) => code)).toEqual(["context-full"]);
    chat.undo();
    await expect(ask(prompt(0), { ...long, strict: true })).rejects.toMatchObject({ code: "strict" });
    expect(chat.messages).toHaveLength(0);
  });

  it("refuses a message that does not fit alone, and goes on without it", async () => {
    open({ contextTokens: CONTEXT });
    await ask(prompt(0), options);
    await expect(ask("word ".repeat(700), options)).rejects.toMatchObject({ code: "context" });
    expect(chat.messages).toHaveLength(2);
    expect(chat.dropped).toBe(0);
    expect((await ask(prompt(1), options)).stats.cachedPromptTokens).toBeGreaterThan(30);
  });
});

describe("history", () => {
  it("keeps nothing of a message whose answer never began", async () => {
    const { stopReason } = await ask(prompt(0), { signal: AbortSignal.abort() });
    expect(stopReason).toBe("aborted");
    expect(chat.messages).toEqual([]);
    for await (const event of chat.send(prompt(0))) if (event.type === "tokens") break;
    expect(chat.messages).toEqual([]);
    await ask(prompt(1), { maxTokens: 5 });
    expect(chat.messages).toHaveLength(2);
  });

  it("can be replaced, in turns only", async () => {
    const user = { role: "user", content: "Hi" } as const;
    const model = { role: "assistant", content: "Hello" } as const;
    chat.restore([user, model]);
    const expected = await fresh(prompt(0), 20);
    expect((await ask(prompt(0), { maxTokens: 20 })).tokenIds).toEqual(expected.tokenIds);
    expect(() => chat.restore([model])).toThrow(/message 0: expected one of role user, found assistant/);
    expect(() => chat.restore([user, user])).toThrow(/message 1: .* assistant, found user/);
    expect(() => chat.restore([user])).toThrow(/an answer to the last message/);
    expect(chat.messages).toHaveLength(4);
  });

  it("has nothing to take back or answer anew at its beginning", async () => {
    expect(chat.undo()).toBeUndefined();
    expect(() => chat.regenerate()).toThrow(/no message yet/);
  });

  it("takes one answer at a time", async () => {
    const events = chat.send(prompt(0));
    await events.next();
    await expect(ask(prompt(1))).rejects.toMatchObject({ code: "usage" });
    expect(() => chat.undo()).toThrow(/busy/);
    await events.return();
    await ask(prompt(1), { maxTokens: 3 });
  });

  it("refuses pictures", async () => {
    await expect(ask("<|image|> what is this?")).rejects.toMatchObject({ code: "usage" });
  });
});

/** A pair with the embedded one's tokenizer and turns that says `answers`, one after the other. */
function speaking(answers: readonly string[]): LoadedPair & { readonly asked: string[] } {
  const { tokenizer } = pair;
  if (!tokenizer) throw new Error("no tokenizer");
  const script = new Map<number, number>();
  const asked: string[] = [];
  const target = scriptedTarget((position) => script.get(position) ?? 0, 1000, pair.target.vocabSize);
  return {
    ...fakePair(target, undefined, pair.eosTokenIds),
    tokenizer,
    asked,
    async encodeChat(messages, options) {
      const ids = await pair.encodeChat(messages, options);
      const answer = await tokenizer.encode(`${answers[asked.length]}<turn|>`);
      for (const [index, id] of answer.entries()) script.set(ids.length + index, id);
      asked.push(await spelled(ids));
      return ids;
    },
  };

  async function spelled(ids: readonly number[]): Promise<string> {
    const detokenizer = tokenizer?.detokenizer(true);
    return ids.map((id) => detokenizer?.push(id)).join("") + detokenizer?.flush();
  }
}

describe("thoughts and tool calls", () => {
  const THOUGHT = "<|channel>thought\nOne and one.\n<channel|>";

  it("are told apart as they come, kept, and not fed back", async () => {
    const own = speaking([`${THOUGHT}Two.`, "Four."]);
    using talk = new Conversation(own);
    const events = await all(talk.send("1 + 1?"));
    const pieces = events.flatMap((event) => (event.type === "tokens" ? event.pieces : []));
    const shown = (thought: boolean) =>
      pieces
        .filter((piece) => piece.thought === thought)
        .map(({ text }) => text)
        .join("");
    expect(shown(true)).toBe("One and one.\n");
    expect(shown(false)).toBe("Two.");
    expect(events.at(-1)).toMatchObject({ type: "end", text: "Two.", thoughts: "One and one.\n" });
    expect(talk.messages[1]).toEqual({ role: "assistant", content: `${THOUGHT}Two.` });
    const second = await endOf(talk.send("2 + 2?"));
    expect(own.asked[1]).toBe(
      "<bos><|turn>user\n1 + 1?<turn|>\n<|turn>model\nTwo.<turn|>\n<|turn>user\n2 + 2?<turn|>\n<|turn>model\n",
    );
    // The caches go back to where the thought began, which is the end of the first prompt.
    const first = await pair.encodeChat([{ role: "user", content: "1 + 1?" }]);
    expect(second.stats.cachedPromptTokens).toBe(first.length);
  });

  it("a call of a tool is text", async () => {
    const call = "<|tool_call>call:shell{command:rm}<tool_call|>";
    using talk = new Conversation(speaking([call]));
    expect((await endOf(talk.send("Clean up"))).text).toBe(call);
    expect(talk.messages[1]?.content).toBe(call);
  });

  it("are asked for where the template can", async () => {
    expect(await chat.canThink()).toBe(false);
    const told: LoadedPair = {
      ...pair,
      encodeChat: async (_, { thinking } = {}) => (thinking ? [2, 3] : [2]),
    };
    using talk = new Conversation(told);
    expect(await talk.canThink()).toBe(true);
  });
});
