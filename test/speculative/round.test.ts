import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import { fromFloat32 } from "../../src/mlx/array.js";
import { noDrafter } from "../../src/speculative/no-drafter.js";
import { firstToken, type RoundState, runRound } from "../../src/speculative/round.js";
import { GREEDY } from "../../src/speculative/sampling.js";
import { greedyVerifier, samplingVerifier } from "../../src/speculative/verifier.js";
import { rejected } from "../checkpoint/helpers.js";
import { liveArrays, settledArrays } from "../mlx/helpers.js";
import { fakePair, type Script, scriptedDrafter, scriptedTarget, VOCAB } from "../support/fakes.js";
import { record } from "../support/generation.js";
import { valuesOf } from "../target/helpers.js";

/** The target's text. Neighbours differ, so that a place taken wrong shows. */
const text: Script = (position) => (position * 7 + 3) % VOCAB;
/** The same, but wrong at some positions. */
const wrongAt =
  (...positions: number[]): Script =>
  (position) =>
    (text(position) + (positions.includes(position) ? 1 : 0)) % VOCAB;

const PROMPT = 5;
const promptIds = Array.from({ length: PROMPT }, (_, position) => text(position));

/** A session after the prompt, with the first token decided. */
async function started(maxBlock: number) {
  const target = scriptedTarget(text);
  const session = target.openSession(maxBlock);
  const output = await session.prefill(Int32Array.from(promptIds));
  return { target, session, state: await firstToken(output, greedyVerifier, PROMPT) };
}

describe("the first token", () => {
  it("is the prompt's, and the prompt's last hidden row goes with it", async () => {
    const { state } = await started(1);
    expect(state.bonus).toBe(text(PROMPT));
    expect([...(await valuesOf(state.hidden))]).toEqual([PROMPT - 1, text(PROMPT - 1)]);
  });

  it.each([
    ["NaN", Number.NaN, greedyVerifier],
    ["NaN, sampled", Number.NaN, samplingVerifier({ ...GREEDY, temperature: 1 })],
    ["Infinity", Number.POSITIVE_INFINITY, greedyVerifier],
  ])("of logits that hold %s is a broken checkpoint's", async (_, value, verifier) => {
    const before = await settledArrays();
    const logits = fromFloat32(Float32Array.of(1, 2, value, 4), [1, 1, 4]);
    const lastHidden = fromFloat32(Float32Array.of(1, 2), [1, 1, 2]);
    await rejected("checkpoint", firstToken({ logits, lastHidden }, verifier, PROMPT));
    expect(liveArrays()).toBe(before);
  });

  it.each(["judge", "read"] as const)(
    "lets go of the prompt's arrays when the verifier can't %s",
    async (part) => {
      const session = scriptedTarget(text).openSession(1);
      const before = await settledArrays();
      const output = await session.prefill(Int32Array.from(promptIds));
      const verifier = {
        ...greedyVerifier,
        [part]: () => {
          throw new Error("no verdict");
        },
      };
      await expect(firstToken(output, verifier, PROMPT)).rejects.toThrow("no verdict");
      expect(liveArrays()).toBe(before);
    },
  );
});

describe("a round", () => {
  const cases = [0, 1, 2, 3, 4].flatMap((steps) =>
    Array.from({ length: steps + 1 }, (_, accepted) => ({ steps, accepted })),
  );

  it.each(cases)("of $steps drafts keeps $accepted that are right", async ({ steps, accepted }) => {
    const { target, session, state } = await started(steps + 1);
    // Drafts after the wrong one are right again, and must not count.
    const drafter = scriptedDrafter(wrongAt(PROMPT + 1 + accepted));
    const parts = { target, session, drafter, verifier: greedyVerifier };
    const result = await runRound(parts, state, steps);
    const tokens = Array.from({ length: accepted + 1 }, (_, i) => text(PROMPT + 1 + i));
    expect(result).toMatchObject({ accepted, tokens, bonus: tokens.at(-1), proposed: steps });
    expect(result.state.bonus).toBe(tokens.at(-1));
    expect(session.position).toBe(PROMPT + 1 + accepted);
    expect(target.log).toMatchObject({ blocks: [steps + 1], kept: [accepted + 1] });
    // The row of the last position that is kept.
    const last = PROMPT + accepted;
    expect([...(await valuesOf(result.state.hidden))]).toEqual([last, text(last)]);
  });

  it("asks the drafter at the bonus token's position, and for K/V only when it drafts", async () => {
    const { target, session, state } = await started(4);
    const drafter = scriptedDrafter(text);
    const parts = { target, session, drafter, verifier: greedyVerifier };
    const second = await runRound(parts, state, 3);
    const third = await runRound(parts, second.state, 0);
    await runRound(parts, third.state, 1);
    expect(drafter.calls).toEqual([
      { position: PROMPT, steps: 3 },
      { position: PROMPT + 4, steps: 0 },
      { position: PROMPT + 5, steps: 1 },
    ]);
    expect(target.log.sharedKvCalls).toBe(2);
  });

  it.each([0, 1, 3, 6])("with %d drafts is one evaluation, one readback and no array more", async (steps) => {
    const { target, session, state } = await started(steps + 1);
    const parts = { target, session, drafter: scriptedDrafter(text), verifier: greedyVerifier };
    await settledArrays();
    const before = addon().counters();
    const { state: next } = await runRound(parts, state, steps);
    const after = addon().counters();
    expect(after.evaluations - before.evaluations).toBe(1);
    expect(after.readbacks - before.readbacks).toBe(1);
    // The old hidden row went, the new one came.
    expect(after.liveArrays).toBe(before.liveArrays);
    expect(state.hidden.disposed).toBe(true);
    expect(next.hidden.disposed).toBe(false);
  });

  it("notices a wrong hidden row (negative control)", async () => {
    const { target, session, state } = await started(4);
    const parts = { target, session, drafter: scriptedDrafter(text), verifier: greedyVerifier };
    const wrong: RoundState = { ...state, hidden: fromFloat32(Float32Array.of(PROMPT, 0), [1, 1, 2]) };
    expect((await runRound(parts, wrong, 3)).accepted).toBe(0);
  });

  it("without drafts is a step of plain decoding", async () => {
    const { target, session, state } = await started(1);
    const parts = { target, session, drafter: noDrafter, verifier: greedyVerifier };
    const result = await runRound(parts, state, 3);
    expect(result).toMatchObject({ accepted: 0, proposed: 0, tokens: [text(PROMPT + 1)] });
    expect(target.log).toMatchObject({ blocks: [1], kept: [1] });
  });

  it.each(["the verdict can't be read", "the session can't keep"])(
    "lets go of its arrays when %s",
    async (why) => {
      const { target, session, state } = await started(4);
      const fail = () => {
        throw new Error(why);
      };
      const verifier = why.includes("verdict") ? { ...greedyVerifier, read: fail } : greedyVerifier;
      if (why.includes("session")) session.keep = fail;
      const parts = { target, session, drafter: scriptedDrafter(text), verifier };
      const before = await settledArrays();
      await expect(runRound(parts, state, 3)).rejects.toThrow(why);
      // The hidden row that it took over went, too.
      expect(liveArrays()).toBe(before - 1);
    },
  );

  it("tells where its time went", async () => {
    const { target, session, state } = await started(4);
    const parts = { target, session, drafter: scriptedDrafter(text), verifier: greedyVerifier };
    const start = performance.now();
    const { times } = await runRound(parts, state, 3);
    const whole = performance.now() - start;
    const sum = times.draft + times.verify + times.accept + times.rest;
    expect(Math.min(times.draft, times.verify, times.accept)).toBeGreaterThan(0);
    expect(sum).toBeLessThanOrEqual(whole);
    expect(sum).toBeGreaterThan(whole / 2);
  });
});

describe("a generation", () => {
  it("proposes no more than fits before max tokens", async () => {
    const drafter = scriptedDrafter(text);
    const { end } = await record(fakePair(scriptedTarget(text), drafter), {
      promptIds,
      draftTokens: 4,
      maxTokens: 9,
    });
    // 1, then 4 + 1, then 2 + 1.
    expect(drafter.calls.map(({ steps }) => steps)).toEqual([4, 2]);
    expect(end.stats).toMatchObject({ tokens: 9, proposed: 6, accepted: 6, targetSteps: 2 });
    expect(end.stopReason).toBe("max tokens");
  });

  it("ends with its last draft where the model's positions end", async () => {
    const target = scriptedTarget(text, PROMPT + 7);
    const { end } = await record(fakePair(target, scriptedDrafter(text)), { promptIds, draftTokens: 4 });
    const last = target.log.positions.map((position, i) => position + (target.log.blocks[i] ?? 0));
    expect(Math.max(...last)).toBe(PROMPT + 7);
    expect(end.stopReason).toBe("context full");
    // Every position holds a token, and the last row decides one more.
    expect(end.tokenIds).toEqual(Array.from({ length: 8 }, (_, i) => text(PROMPT + i)));
  });

  it("stops in the middle of an accepted block, and counts nothing after it", async () => {
    const eos = text(PROMPT + 3);
    const pair = fakePair(scriptedTarget(text), scriptedDrafter(text), [eos]);
    const { end, steps } = await record(pair, { promptIds, draftTokens: 6 });
    expect(steps).toEqual([[text(PROMPT)], [1, 2, 3].map((i) => text(PROMPT + i))]);
    expect(end).toMatchObject({ stopReason: "eos", tokenIds: steps.flat() });
    expect(end.stats).toMatchObject({ tokens: 4, proposed: 3, accepted: 3, targetSteps: 1 });
  });

  it("stops at the target's own token after a rejected draft", async () => {
    const eos = text(PROMPT + 2);
    const pair = fakePair(scriptedTarget(text), scriptedDrafter(wrongAt(PROMPT + 2)), [eos]);
    const { end } = await record(pair, { promptIds, draftTokens: 3 });
    expect(end.tokenIds).toEqual([0, 1, 2].map((i) => text(PROMPT + i)));
    expect(end.stats).toMatchObject({ tokens: 3, proposed: 3, accepted: 1, targetSteps: 1 });
  });

  it("lets go of its session and all its arrays, also when it is left early", async () => {
    const target = scriptedTarget(text);
    const pair = fakePair(target, scriptedDrafter(text));
    const before = await settledArrays();
    await record(pair, { promptIds, draftTokens: 3, maxTokens: 30 });
    const controller = new AbortController();
    controller.abort();
    await record(pair, { promptIds, draftTokens: 3, signal: controller.signal });
    expect(target.log.disposed).toBe(2);
    expect(liveArrays()).toBe(before);
  });

  const runs = fc.record({
    draftTokens: fc.integer({ min: 0, max: 8 }),
    maxTokens: fc.integer({ min: 1, max: 60 }),
    wrong: fc.uniqueArray(fc.integer({ min: PROMPT, max: PROMPT + 60 }), { maxLength: 40 }),
    // Some id of the text, or one that it does not have within reach.
    stopAt: fc.integer({ min: 0, max: 80 }),
  });

  it("adds up and is plain decoding's text, whatever is drafted", async () => {
    await fc.assert(
      fc.asyncProperty(runs, async ({ draftTokens, maxTokens, wrong, stopAt }) => {
        const eos = stopAt < 45 ? [text(PROMPT + stopAt)] : [];
        const target = scriptedTarget(text);
        const drafter = scriptedDrafter(wrongAt(...wrong));
        await settledArrays();
        const before = addon().counters();
        const { end, steps } = await record(fakePair(target, drafter, eos), {
          promptIds,
          draftTokens,
          maxTokens,
        });
        const after = addon().counters();
        const plain = await record(fakePair(scriptedTarget(text), undefined, eos), { promptIds, maxTokens });
        expect(end.tokenIds).toEqual(plain.end.tokenIds);
        expect(end.stopReason).toBe(plain.end.stopReason);
        const length = Math.min(maxTokens, eos.length > 0 ? stopAt + 1 : maxTokens);
        expect(end.tokenIds).toEqual(Array.from({ length }, (_, i) => text(PROMPT + i)));
        const { stats } = end;
        const { kept, blocks } = target.log;
        // The first token, then each round's kept positions (accepted + 1), cut at the stop.
        const decided = 1 + kept.reduce((sum, n) => sum + n, 0);
        const cut = decided - stats.tokens;
        expect(cut).toBeGreaterThanOrEqual(0);
        expect(cut).toBeLessThan(kept.at(-1) ?? 1);
        if (stats.tokens === maxTokens && eos.length === 0) expect(cut).toBe(0);
        expect(steps.slice(0, -1).map((ids) => ids.length)).toEqual(
          kept.length > 0 ? [1, ...kept.slice(0, -1)] : [],
        );
        expect(stats).toMatchObject({ tokens: length, targetSteps: kept.length });
        expect(Math.max(0, ...blocks)).toBeLessThanOrEqual(draftTokens + 1);
        // The prompt and the first token, with whether its logits are numbers, then one evaluation and one readback a round.
        expect(after.evaluations - before.evaluations).toBe(2 + kept.length);
        expect(after.readbacks - before.readbacks).toBe(2 + kept.length);
        expect(after.liveArrays).toBe(before.liveArrays);
      }),
      { numRuns: 60, seed: 4 },
    );
  });
});
