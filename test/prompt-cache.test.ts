import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { generate } from "../src/generate.js";
import { type LoadedPair, load } from "../src/load.js";
import type { GenerateOptions } from "../src/options.js";
import { PromptCache } from "../src/prompt-cache.js";
import { fakePair, scriptedTarget } from "./support/fakes.js";
import { run } from "./support/generation.js";
import { heldOutIds } from "./support/held-out.js";
import { randoms } from "./target/helpers.js";

/** The embedded target's. */
const WINDOW = 64;
const DRAFTS = [0, 3, 6];

let pair: LoadedPair;
let prompts: number[][];
let cache: PromptCache;

beforeAll(async () => {
  pair = await load({ draft: "assistant" });
  prompts = await heldOutIds(pair);
});
afterAll(() => pair[Symbol.dispose]());
beforeEach(() => {
  cache = new PromptCache(pair);
});
afterEach(() => cache[Symbol.dispose]());

const prompt = (index: number) => prompts[index] ?? [];
const kept = (options: GenerateOptions) => run(pair, { ignoreEos: true, ...options, cache });
const fresh = (options: GenerateOptions) => run(pair, { ignoreEos: true, ...options, draftTokens: 0 });

describe.each(DRAFTS)("with kept caches and K = %d", (draftTokens) => {
  it("a conversation processes new tokens only, and says what empty caches say", async () => {
    let promptIds = prompt(0);
    for (let turn = 1; turn < 6; turn++) {
      const before = cache.ids.length;
      const options = { promptIds, draftTokens, maxTokens: 70 };
      const { tokenIds, stats } = await kept(options);
      expect(stats.cachedPromptTokens).toBe(before);
      expect(tokenIds, `turn ${turn}`).toEqual((await fresh(options)).tokenIds);
      // All but the last token of the answer is in the caches.
      const whole = [...promptIds, ...tokenIds];
      expect(cache.ids).toEqual(whole.slice(0, -1));
      promptIds = [...whole, ...prompt(turn)];
    }
    expect(promptIds.length).toBeGreaterThan(5 * WINDOW);
  });

  // An answer is longer than what the sliding buffers hold.
  it("another answer to the same prompt, or to one that ends a little otherwise, starts at the prompt's end", async () => {
    const promptIds = [...prompt(1), ...prompt(2)];
    const options = { promptIds, draftTokens, maxTokens: 600 };
    const { tokenIds } = await kept(options);
    const again = await kept(options);
    expect(again.stats.cachedPromptTokens).toBe(promptIds.length - 1);
    expect(again.tokenIds).toEqual(tokenIds);
    const other = [...promptIds.slice(0, -3), 300, 301];
    const otherwise = await kept({ ...options, promptIds: other });
    expect(otherwise.stats.cachedPromptTokens).toBe(promptIds.length - 3);
    expect(otherwise.tokenIds).toEqual((await fresh({ ...options, promptIds: other })).tokenIds);
  });

  it("what the sliding layers no longer hold is processed anew, and counted", async () => {
    const promptIds = prompt(3);
    const long = await kept({ promptIds, draftTokens, maxTokens: 400 });
    const whole = [...promptIds, ...long.tokenIds];
    const next = { promptIds: [...whole, ...prompt(4)], draftTokens, maxTokens: 500 };
    await kept(next);
    const short = { ...next, promptIds: whole.slice(0, promptIds.length + 30), maxTokens: 40 };
    const { tokenIds, stats } = await kept(short);
    expect(stats).toMatchObject({ cachedPromptTokens: 0, promptTokens: promptIds.length + 30 });
    expect(tokenIds).toEqual((await fresh(short)).tokenIds);
  });

  it("an interrupted answer leaves what was decided", async () => {
    const controller = new AbortController();
    const ids: number[] = [];
    const events = generate(pair, {
      promptIds: prompt(5),
      draftTokens,
      cache,
      ignoreEos: true,
      signal: controller.signal,
    });
    for await (const event of events) {
      if (event.type === "tokens") ids.push(...event.ids);
      if (ids.length > 2 * WINDOW) controller.abort();
    }
    const promptIds = [...prompt(5), ...ids, ...prompt(6)];
    const { tokenIds, stats } = await kept({ promptIds, draftTokens, maxTokens: 40 });
    expect(stats.cachedPromptTokens).toBe(prompt(5).length + ids.length - 1);
    expect(tokenIds).toEqual((await fresh({ promptIds, maxTokens: 40 })).tokenIds);
  });
});

// Whatever is typed, undone, interrupted, drafted or sampled: the tokens are those of empty caches.
it("any walk through edited texts gives what empty caches give", async () => {
  const random = randoms(11);
  let text = [...prompt(7)];
  const seen = { all: 0, some: 0, none: 0 };
  for (let step = 0; step < 40; step++) {
    const back = random(3) === 0 ? random(text.length) : text.length - random(20);
    const promptIds = [...text.slice(0, Math.max(1, back)), ...prompt(random(20))];
    let common = 0;
    while (common < cache.ids.length && cache.ids[common] === promptIds[common]) common += 1;
    common = Math.min(common, promptIds.length - 1);
    const options = {
      promptIds,
      maxTokens: 1 + random(80),
      chunkSize: 1 + random(200),
      temperature: random(2),
      seed: step,
    };
    const draftTokens = random(8);
    const { tokenIds, stats } = await kept({ ...options, draftTokens });
    expect([common, 0]).toContain(stats.cachedPromptTokens);
    seen[stats.cachedPromptTokens === 0 ? "none" : common === cache.ids.length ? "all" : "some"] += 1;
    // A sampled text depends on how many tokens were drafted.
    const alone = await run(pair, { ...options, ignoreEos: true, draftTokens });
    expect(tokenIds, `step ${step}`).toEqual(alone.tokenIds);
    if (options.temperature === 0) expect(tokenIds).toEqual((await fresh(options)).tokenIds);
    text = [...promptIds, ...tokenIds].slice(0, 900);
  }
  expect(seen.some).toBeGreaterThan(10);
  expect(seen.none).toBeGreaterThan(2);
});

describe("what the caches hold is never guessed", () => {
  const long = () => Array.from({ length: 1500 }, (_, index) => 300 + index);

  it("after a prompt that was interrupted", async () => {
    const controller = new AbortController();
    const options = { promptIds: long(), chunkSize: 100, cache, signal: controller.signal };
    for await (const event of generate(pair, options)) {
      if (event.type === "prefill" && event.done >= 300) controller.abort();
    }
    expect(cache.ids.length % 100).toBe(0);
    expect(cache.ids).toEqual(long().slice(0, cache.ids.length));
    const held = cache.ids.length;
    const { tokenIds, stats } = await kept({ promptIds: long(), maxTokens: 10 });
    expect(stats.cachedPromptTokens).toBe(held);
    expect(tokenIds).toEqual((await fresh({ promptIds: long(), maxTokens: 10 })).tokenIds);
  });

  it("after a reader who left, in the prompt or in the answer", async () => {
    for await (const _ of generate(pair, { promptIds: long(), chunkSize: 50, cache })) break;
    expect(cache.ids).toEqual([]);
    const options = { promptIds: prompt(8), maxTokens: 30 };
    for await (const event of generate(pair, { ...options, cache })) if (event.type === "tokens") break;
    expect(cache.ids).toEqual(prompt(8));
    expect((await kept(options)).tokenIds).toEqual((await fresh(options)).tokenIds);
  });

  it("after a stop in the middle of a round", async () => {
    const options = { promptIds: prompt(9), maxTokens: 60 };
    const { text, tokenIds } = await fresh(options);
    const stop = [text.slice(20, 26)];
    const stopped = await kept({ ...options, draftTokens: 7, stop });
    expect(stopped.stopReason).toBe("stop string");
    expect(cache.ids).toEqual([...prompt(9), ...tokenIds].slice(0, cache.ids.length));
    expect((await kept(options)).tokenIds).toEqual(tokenIds);
  });

  it("after a round that failed", async () => {
    const target = scriptedTarget((position) => position % 40);
    const broken = {
      ...target,
      openSession(maxBlock: number) {
        const session = target.openSession(maxBlock);
        const step = session.step.bind(session);
        let rounds = 0;
        session.step = (tokens) => {
          const output = step(tokens);
          rounds += 1;
          if (rounds === 3) throw new Error("out of memory");
          return output;
        };
        return session;
      },
    };
    const own = fakePair(broken);
    using fragile = new PromptCache(own);
    await expect(run(own, { promptIds: [1, 2, 3], cache: fragile })).rejects.toThrow("out of memory");
    expect(fragile.ids).toEqual([]);
    expect(target.log.disposed).toBe(1);
  });
});

describe("misuse", () => {
  it("is told: two generations at once, another pair, after dispose", async () => {
    const first = generate(pair, { promptIds: prompt(0), cache });
    await first.next();
    await expect(kept({ promptIds: prompt(1) })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("one generation at a time"),
    });
    await first.return();
    const stranger = fakePair(scriptedTarget(() => 1));
    await expect(run(stranger, { promptIds: [1], cache })).rejects.toMatchObject({ code: "usage" });
    cache[Symbol.dispose]();
    await expect(kept({ promptIds: prompt(1) })).rejects.toMatchObject({ code: "disposed" });
  });

  it("a pair that is disposed in the middle is an error, and the cache can be disposed after it", async () => {
    const own = await load({ draft: "assistant" });
    const held = new PromptCache(own);
    const events = generate(own, { promptIds: prompt(0), cache: held });
    for await (const event of events) {
      if (event.type === "tokens") break;
    }
    own[Symbol.dispose]();
    await expect(run(own, { promptIds: prompt(0), cache: held })).rejects.toMatchObject({ code: "disposed" });
    held[Symbol.dispose]();
  });
});
