import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import { fromInt32 } from "../../src/mlx/array.js";
import type { Gemma4Target } from "../../src/target/gemma4-target.js";
import { distance, loadGolden, randoms, readGolden, sameBits, stepOn, stepValues } from "./helpers.js";

const { promptIds, greedyIds, slidingWindow } = readGolden("e-style");
const prompt = Int32Array.from(promptIds);
const exact = addon().kernels() !== "mlx";

let target: Gemma4Target;

beforeAll(async () => {
  target = await loadGolden("e-style");
});

afterAll(() => target[Symbol.dispose]());

describe("prefill", () => {
  it("tells its progress after each chunk", async () => {
    const seen: [number, number][] = [];
    await target.openSession(4).prefill(prompt, { chunkSize: 25, onProgress: (...at) => seen.push(at) });
    expect(seen).toEqual([
      [25, 61],
      [50, 61],
      [61, 61],
    ]);
  });

  it("stops between chunks, and the session can go on from there", async () => {
    const controller = new AbortController();
    const session = target.openSession(4);
    const stopped = session.prefill(prompt, {
      chunkSize: 25,
      onProgress: () => controller.abort(new Error("enough")),
      signal: controller.signal,
    });
    await expect(stopped).rejects.toMatchObject({ code: "aborted" });
    expect(session.position).toBe(25);
    const rest = await stepValues(await session.prefill(prompt.subarray(25)));
    const once = await stepValues(await target.openSession(4).prefill(prompt));
    expect(distance(rest.logits.values, once.logits.values)).toBeLessThan(1e-4);
  });

  it.each([
    ["no tokens", [], /expected at least one/],
    ["an id past the vocabulary", [2, 320], /token 1 is 320: the model's ids go from 0 to 319/],
    ["a negative id", [-1], /token 0 is -1/],
  ])("refuses %s", async (_, ids, message) => {
    await expect(target.openSession(4).prefill(Int32Array.from(ids))).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(message),
    });
  });

  it("refuses a prompt past the model's positions", async () => {
    const long = new Int32Array(target.maxPositionEmbeddings + 1);
    await expect(target.openSession(4).prefill(long)).rejects.toMatchObject({ code: "context" });
  });

  it("is alone on its session", async () => {
    const session = target.openSession(4);
    const running = session.prefill(prompt);
    expect(() => session.step(fromInt32(Int32Array.of(3), [1, 1]))).toThrow(/busy/);
    await running;
  });
});

describe("a long text", () => {
  // Past several moves of the sliding buffers and growths of the full ones.
  it("is the same in big chunks, blocks with rejected tails and single tokens", async () => {
    const random = randoms(5);
    const ids = [...promptIds, ...greedyIds];
    while (ids.length < 1200) ids.push(random(target.vocabSize));
    const whole = await stepOn(target.openSession(8), ids);
    const session = target.openSession(8);
    await session.prefill(Int32Array.from(ids.slice(0, 300)), { chunkSize: 290 });
    while (session.position + 8 <= ids.length) {
      const position = session.position;
      const kept = 1 + random(8);
      const block = ids.slice(position, position + kept);
      if (random(2) === 0) while (block.length < 8) block.push(random(target.vocabSize));
      const found = await stepOn(session, block);
      session.keep(kept);
      const rows = found.logits.rows(0, kept);
      const expected = whole.logits.rows(position, position + kept);
      expect(distance(rows, expected), `from position ${position}`).toBeLessThan(1e-4);
      if (exact) expect(sameBits(rows, expected), `bits from position ${position}`).toBe(true);
    }
    const [, , rows] = session.sharedKv().sliding_attention?.keys.shape ?? [];
    expect(rows).toBe(slidingWindow - 1);
    if (exact) expect(addon().counters().cacheCopies).toBe(0);
  });
});

describe("caches", () => {
  // V8 would collect all of its heap at each step of a long text, on a core that the step needs.
  it("are told to V8 once, and not with every handle on them", async () => {
    const session = target.openSession(4);
    await session.prefill(prompt);
    const before = process.memoryUsage().external;
    const handles = [...session.pending(), ...Object.values(session.sharedKv()).flatMap(Object.values)];
    expect(handles.length).toBeGreaterThan(4);
    expect(handles.reduce((sum, { nbytes }) => sum + nbytes, 0)).toBeGreaterThan(64 * 1024);
    expect(process.memoryUsage().external - before).toBeLessThan(16 * 1024);
    for (const handle of handles) handle.dispose();
    expect(process.memoryUsage().external).toBeLessThan(before + 16 * 1024);
  });
});

describe("keep", () => {
  it("refuses to keep more than the last step had, or to drop more than a block", async () => {
    const session = target.openSession(4);
    await stepOn(session, [2, 8, 29]);
    expect(() => session.keep(4)).toThrow(/the last step had 3 tokens/);
    expect(() => session.keep(-1)).toThrow(/the last step had 3 tokens/);
    session.keep(1);
    expect(session.position).toBe(1);
    expect(() => session.keep(2)).toThrow(/the last step had 1 tokens/);
    await stepOn(session, [8, 29, 120, 73, 219, 205]);
    expect(() => session.keep(1)).toThrow(/more than maxBlock 4/);
  });
});

describe("rewind", () => {
  const random = randoms(9);
  const text = (length: number) => Int32Array.from({ length }, () => random(target.vocabSize));

  // The sliding buffers hold a few hundred positions: most detours are longer.
  it("comes back to the mark and before, over any detour", async () => {
    const ids = [...text(1500)];
    const whole = await stepOn(target.openSession(8), ids);
    const session = target.openSession(8);
    let again = 0;
    let former = 0;
    while (session.position + 40 < ids.length) {
      const begin = session.position;
      await session.prefill(Int32Array.from(ids.slice(begin, begin + 20 + random(20))), { chunkSize: 64 });
      const position = session.position;
      session.mark();
      const detour = random(600);
      if (detour > 0) await session.prefill(text(detour), { chunkSize: 1 + random(300) });
      // A step that is cut must not take the mark with it.
      await stepOn(session, [...text(4)]);
      session.keep(random(5));
      const back = position - random(8);
      session.rewind(back);
      if (detour > 400 && session.position === back) former += 1;
      if (session.position === 0) again += 1;
      else expect(session.position).toBe(back);
      const next = ids.slice(session.position, position + 3);
      const { logits } = await stepOn(session, next);
      const expected = whole.logits.rows(position + 3 - next.length, position + 3);
      expect(distance(logits.values, expected), `at ${back} of ${position}`).toBeLessThan(1e-4);
      if (exact) expect(sameBits(logits.values, expected), `bits at ${back} of ${position}`).toBe(true);
    }
    expect(again).toBe(0);
    expect(former).toBeGreaterThan(5);
    if (exact) expect(addon().counters().cacheCopies).toBe(0);
  });

  // Wherever the buffer moves between the place that was gone back to and the mark.
  it("does not take what stood before the mark for what was written over it", async () => {
    let held = 0;
    for (let length = 230; length < 420; length += 5) {
      const ids = text(length);
      const other = text(length % 2 === 0 ? 60 : 300);
      const session = target.openSession(8);
      await session.prefill(ids);
      session.mark();
      session.rewind(length - 8);
      await session.prefill(other, { chunkSize: 3 });
      session.rewind(length - 1);
      if (session.position === 0) continue;
      held += 1;
      const expected = Int32Array.from([...ids.subarray(0, length - 8), ...other.subarray(0, 8)]);
      const { logits } = await stepOn(session, [other[7] ?? 0]);
      const fresh = await stepValues(await target.openSession(8).prefill(expected));
      expect(distance(logits.values, fresh.logits.values), `at ${length}`).toBeLessThan(1e-4);
    }
    expect(held).toBeGreaterThan(0);
  });

  it("starts again where the window before the position is gone, and reads any text then", async () => {
    const ids = text(700);
    const session = target.openSession(8);
    await session.prefill(ids);
    session.rewind(690);
    expect(session.position).toBe(690);
    session.rewind(slidingWindow);
    expect(session.position).toBe(0);
    const again = await stepValues(await session.prefill(ids));
    const once = await stepValues(await target.openSession(8).prefill(ids));
    expect(distance(again.logits.values, once.logits.values)).toBeLessThan(1e-4);
  });

  it("goes to the very start, refuses what is no position, and leaves no step to cut", async () => {
    const session = target.openSession(8);
    await session.prefill(text(30));
    expect(() => session.rewind(31)).toThrow(/there are 30 tokens/);
    expect(() => session.rewind(-1)).toThrow(/there are 30 tokens/);
    session.rewind(20);
    expect(() => session.keep(1)).toThrow(/the last step had 0 tokens/);
    session.rewind(0);
    expect(session.position).toBe(0);
    expect(() => session.sharedKv()).toThrow(/no token was processed/);
  });
});

describe("misuse", () => {
  it("has no K/V before the first token", () => {
    expect(() => target.openSession(4).sharedKv()).toThrow(/no token was processed/);
  });

  it.each([
    ["of another dtype", () => addon().ops.astype(fromInt32(Int32Array.of(3), [1, 1]), "float32"), /int32/],
    ["of a batch", () => fromInt32(Int32Array.of(3, 4), [2, 1]), /shape \(1, T\)/],
    ["without an axis for the batch", () => fromInt32(Int32Array.of(3), [1]), /shape \(1, T\)/],
  ])("refuses tokens %s", (_, tokens, message) => {
    const session = target.openSession(4);
    expect(() => session.step(tokens())).toThrow(message);
    expect(session.position).toBe(0);
  });

  it("says so when a session or a target is disposed, twice is harmless", async () => {
    const own = await loadGolden("dense-k-eq-v");
    const session = own.openSession(4);
    const other = own.openSession(4);
    await session.prefill(Int32Array.of(2, 8, 14));
    session[Symbol.dispose]();
    session[Symbol.dispose]();
    expect(() => session.position).toThrow(expect.objectContaining({ code: "disposed" }));
    own[Symbol.dispose]();
    own[Symbol.dispose]();
    expect(() => other.position).toThrow(expect.objectContaining({ code: "disposed" }));
    expect(() => own.openSession(4)).toThrow(expect.objectContaining({ code: "disposed" }));
    expect(() => own.embed(fromInt32(Int32Array.of(3), [1, 1]))).toThrow(/disposed/);
  });

  it("lets a session go that is disposed during its prefill", async () => {
    const session = target.openSession(4);
    const running = session.prefill(prompt);
    session[Symbol.dispose]();
    await expect(running).rejects.toMatchObject({ code: "disposed" });
  });

  it("gives the native entries no wrong receiver and no constructor", () => {
    const native = addon().createTarget;
    expect(() => Reflect.apply(native, addon(), [{}, {}])).toThrow(
      /target config: vocabSize must be a number/,
    );
    expect(() => Reflect.apply(native, addon(), [])).toThrow(/expected an object/);
  });
});
