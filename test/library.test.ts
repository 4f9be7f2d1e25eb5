// What a user of the package writes; so it is the built package that is tested here.
import {
  Conversation,
  type GenerationEvent,
  generate,
  type LoadedPair,
  load,
  MlxGemmaError,
} from "mlx-gemma";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const FOX = "Tell me a story about a fox.";
let pair: LoadedPair;
let fox: number[];

beforeAll(async () => {
  pair = await load({ draft: "assistant" });
  fox = await pair.encodePrompt(FOX);
});
afterAll(() => pair[Symbol.dispose]());

async function all(events: AsyncIterable<GenerationEvent>): Promise<GenerationEvent[]> {
  const list: GenerationEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

/** The end event, which is the last. */
async function endOf(events: AsyncIterable<GenerationEvent>) {
  const last = (await all(events)).at(-1);
  if (last?.type !== "end") throw new Error("no end event");
  return last;
}

describe("encodeChat", () => {
  it("of one turn is encodePrompt, with and without a system turn", async () => {
    const turn = { role: "user", content: FOX } as const;
    expect(await pair.encodeChat([turn])).toEqual(fox);
    const system = "You are brief.";
    expect(await pair.encodeChat([{ role: "system", content: system }, turn])).toEqual(
      await pair.encodePrompt(FOX, { system }),
    );
  });

  it("of several turns holds them all, and refuses an image in any", async () => {
    const turns = ["Hi there", "Hello", "Bye"].map((content, index) => ({
      role: index === 1 ? ("assistant" as const) : ("user" as const),
      content,
    }));
    expect(pair.tokenizer?.decode(await pair.encodeChat(turns))).toMatch(/Hi there.*Hello.*Bye/s);
    const withImage = [{ role: "user", content: "<|image|>" }, ...turns] as const;
    await expect(pair.encodeChat(withImage)).rejects.toMatchObject({ code: "usage" });
  });

  it("after dispose is an error", async () => {
    const own = await load({});
    own[Symbol.dispose]();
    await expect(own.encodeChat([{ role: "user", content: "Hi" }])).rejects.toMatchObject({
      code: "disposed",
    });
  });
});

describe("events", () => {
  it("are the prompt's chunks, the rounds' tokens, one end", async () => {
    const events = await all(generate(pair, { promptIds: fox, maxTokens: 40, chunkSize: 6 }));
    expect(events.map(({ type }) => type).join(" ")).toMatch(/^(prefill ){3}(tokens )+end$/);
    expect(events.slice(0, 3)).toEqual(
      [6, 12, fox.length].map((done) => ({ type: "prefill", done, total: fox.length })),
    );
    const tokens = events.filter((event) => event.type === "tokens");
    const end = events.at(-1);
    if (end?.type !== "end") throw new Error("no end event");
    expect(tokens.flatMap(({ ids }) => ids)).toEqual(end.tokenIds);
    expect(tokens.flatMap(({ pieces }) => pieces.map(({ text }) => text)).join("")).toBe(end.text);
    expect(end).toMatchObject({
      stopReason: "max tokens",
      stats: { tokens: 40, targetSteps: tokens.length - 1 },
    });
    const drafted = tokens.flatMap(({ pieces }) => pieces).filter((piece) => piece.drafted);
    expect(drafted.length).toBe(end.stats.accepted);
  });

  it("of the prompt come while it is read", async () => {
    const promptIds = Array.from({ length: 2000 }, (_, index) => 300 + index);
    const before = performance.now();
    const events = generate(pair, { promptIds, maxTokens: 1, chunkSize: 50 });
    await events.next();
    const first = performance.now() - before;
    await all(events);
    expect(first).toBeLessThan((performance.now() - before) / 2);
  });

  it("are the same again, and without drafts", async () => {
    const options = { promptIds: fox, maxTokens: 60 };
    const drafted = await endOf(generate(pair, options));
    expect((await endOf(generate(pair, options))).tokenIds).toEqual(drafted.tokenIds);
    const plain = await endOf(generate(pair, { ...options, draftTokens: 0 }));
    expect(plain.tokenIds).toEqual(drafted.tokenIds);
    expect(plain.stats).toMatchObject({ proposed: 0, draftTokens: 0, tokensPerStep: 1 });
  });

  it("count the time of the model, not of a slow reader", async () => {
    let end: GenerationEvent | undefined;
    for await (const event of generate(pair, { promptIds: fox, maxTokens: 8 })) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      end = event;
    }
    if (end?.type !== "end") throw new Error("no end event");
    // Time of the reader is no time of the model.
    const { times } = end.stats;
    const decode = (7 / end.stats.tokensPerSecond) * 1000;
    expect(decode).toBeLessThan(times.draft + times.verify + times.accept + times.rest + 50);
  });
});

describe("two generations at the same time", () => {
  it("give what each gives alone", async () => {
    const other = await pair.encodePrompt("What is the capital of France?");
    const jobs = [
      { promptIds: fox, maxTokens: 50 },
      { promptIds: other, maxTokens: 50, draftTokens: 5 },
      { promptIds: fox, maxTokens: 50, temperature: 1, seed: 5 },
    ];
    const alone: (readonly number[])[] = [];
    for (const job of jobs) alone.push((await endOf(generate(pair, job))).tokenIds);
    const together = await Promise.all(jobs.map(async (job) => (await endOf(generate(pair, job))).tokenIds));
    expect(together).toEqual(alone);
  });
});

describe("an AbortSignal", () => {
  it("ends the reading of the prompt", async () => {
    const controller = new AbortController();
    const promptIds = Array.from({ length: 2000 }, (_, index) => 300 + index);
    const seen: GenerationEvent[] = [];
    for await (const event of generate(pair, { promptIds, chunkSize: 20, signal: controller.signal })) {
      seen.push(event);
      if (event.type === "prefill" && event.done >= 60) controller.abort();
    }
    expect(seen.length).toBeLessThan(20);
    expect(seen.at(-1)).toMatchObject({ type: "end", stopReason: "aborted", tokenIds: [], text: "" });
  });

  it("ends the decoding with what there is", async () => {
    const controller = new AbortController();
    const seen: GenerationEvent[] = [];
    for await (const event of generate(pair, { promptIds: fox, signal: controller.signal })) {
      seen.push(event);
      if (seen.length === 5) controller.abort();
    }
    const whole = await endOf(generate(pair, { promptIds: fox }));
    const end = seen.at(-1);
    if (end?.type !== "end") throw new Error("no end event");
    expect(seen).toHaveLength(6);
    expect(end.stopReason).toBe("aborted");
    expect(end.tokenIds).toEqual(whole.tokenIds.slice(0, end.tokenIds.length));
    expect(whole.text.startsWith(end.text)).toBe(true);
    expect(end.stats.tokens).toBe(end.tokenIds.length);
  });

  it("that has fired gives an end and nothing else", async () => {
    const events = await all(generate(pair, { promptIds: fox, signal: AbortSignal.abort() }));
    expect(events).toMatchObject([{ type: "end", stopReason: "aborted" }]);
  });

  it("ends the loading", async () => {
    await expect(load({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("misuse", () => {
  const begun = (options: string) => generate(pair, JSON.parse(options)).next();
  const chat = () => new Conversation(pair);

  it.each([
    [{ promptIds: [] }, /at least one token/],
    [{ promptIds: [2, 4096] }, /4096 is not in the vocabulary/],
    [{ promptIds: [2.5] }, /2\.5 is not in the vocabulary/],
    [{ promptIds: [2], draftTokens: 16 }, /from 0 to 15; got 16/],
    [{ promptIds: [2], maxTokens: 0 }, /max-tokens must be .* got 0/],
    [{ promptIds: [2], chunkSize: Number.NaN }, /chunk-size must be .* got NaN/],
    [{ promptIds: [2], temperature: -1 }, /temperature must be a number from 0 to 100; got -1/],
    [{ promptIds: [2], stop: [""] }, /stop text must not be empty/],
  ])("%j is a usage error", async (options, message) => {
    const started = generate(pair, options).next();
    await expect(started).rejects.toBeInstanceOf(MlxGemmaError);
    await expect(started).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(message) });
  });

  // As JavaScript can call them.
  it.each<[string, () => unknown, string]>([
    ["load", () => load(JSON.parse('{"modle": "x"}')), "load: .*, found modle; did you mean model\\?"],
    ["load", () => load(JSON.parse('{"model": 5}')), "load: model: expected a text, found 5"],
    ["load", () => load(JSON.parse('{"signal": 5}')), "load: signal: expected an AbortSignal, found 5"],
    ["load", () => load(JSON.parse('"x"')), 'load: expected an object with options, found "x"'],
    ["generate", () => begun("{}"), "generate: promptIds: expected a list of token ids, found nothing"],
    ["generate", () => begun('{"promptIds": "hi"}'), 'promptIds: expected a list of token ids, found "hi"'],
    ["generate", () => begun('{"promptIds": [2], "maxToken": 3}'), "found maxToken; did you mean maxTokens"],
    ["generate", () => begun('{"promptIds": [2], "stop": "x"}'), "stop: expected a list of texts"],
    ["Conversation", () => new Conversation(pair, JSON.parse('{"sytem": "x"}')), "did you mean system"],
    ["Conversation", () => chat().send(JSON.parse("5")).next(), "message 0: expected a role and a content"],
    ["Conversation", () => chat().send("x", JSON.parse('{"stopp": []}')).next(), "did you mean stop"],
    ["Conversation", () => chat().restore(JSON.parse("{}")), "expected a list of messages, found an object"],
    ["encodePrompt", () => pair.encodePrompt(JSON.parse("5")), "encodePrompt: expected a text, found 5"],
    ["encodePrompt", () => pair.encodePrompt("x", JSON.parse('{"sys": ""}')), "encodePrompt: .* found sys;"],
    ["encodeChat", () => pair.encodeChat(JSON.parse("[5]")), "message 0: .*, found 5"],
  ])("of %s's options is a usage error: %o", async (_, call, message) => {
    await expect((async () => call())()).rejects.toMatchObject({
      name: "MlxGemmaError",
      code: "usage",
      message: expect.stringMatching(message),
    });
  });

  it("is no typed array of token ids", async () => {
    const promptIds = Int32Array.from(fox);
    const { tokenIds } = await endOf(generate(pair, { ...JSON.parse("{}"), promptIds, maxTokens: 3 }));
    expect(tokenIds).toHaveLength(3);
  });

  it("is a prompt that asks for more than text", async () => {
    for (const [prompt, what] of [
      ["What is this? <|image|>", "an image \\(<\\|image\\|>\\)"],
      ["<|audio|>", "a sound"],
      ["a <|video|> b", "a video"],
    ] as const) {
      const refusal = { code: "usage", message: expect.stringMatching(`asks for ${what}`) };
      await expect(pair.encodePrompt(prompt)).rejects.toMatchObject(refusal);
      await expect(pair.encodePrompt(prompt, { raw: true })).rejects.toMatchObject(refusal);
      await expect(pair.encodePrompt("Hi", { system: prompt })).rejects.toMatchObject(refusal);
    }
    const multimodal = { ...pair, mediaTokenIds: { image: 7, audio: 8 } };
    await expect(generate(multimodal, { promptIds: [2, 8] }).next()).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("asks for a sound (token id 8)"),
    });
  });

  it("of load is told before anything is loaded", async () => {
    await expect(load({ model: "/nowhere" })).rejects.toMatchObject({ code: "checkpoint" });
    for (const threads of [-1, 1.5, 1025])
      await expect(load({ threads })).rejects.toMatchObject({ code: "usage" });
  });

  it("after dispose is an error", async () => {
    const own = await load({ draft: "assistant" });
    own[Symbol.dispose]();
    own[Symbol.dispose]();
    await expect(own.encodePrompt("Hi")).rejects.toMatchObject({ code: "disposed" });
    await expect(generate(own, { promptIds: [2] }).next()).rejects.toMatchObject({ code: "disposed" });
  });

  it("by a dispose in the middle is an error, and the process lives on", async () => {
    const own = await load({ draft: "assistant" });
    const events = generate(own, { promptIds: fox, maxTokens: 200 });
    await events.next();
    await events.next();
    const next = events.next();
    own[Symbol.dispose]();
    await expect(next.then(() => all(events))).rejects.toMatchObject({ code: "disposed" });
    expect((await endOf(generate(pair, { promptIds: fox, maxTokens: 5 }))).tokenIds).toHaveLength(5);
  });
});

it("a reader that leaves early takes the generation with it", async () => {
  for await (const event of generate(pair, { promptIds: fox })) if (event.type === "tokens") break;
  for await (const event of generate(pair, { promptIds: fox, chunkSize: 2 })) {
    expect(event.type).toBe("prefill");
    break;
  }
  expect((await endOf(generate(pair, { promptIds: fox, maxTokens: 5 }))).tokenIds).toHaveLength(5);
});
