import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type StopRules, TokenSink } from "../../src/text/sink.js";
import { bytesOf, DECODERS, idOf, tinyTokenizer, VOCAB_SIZE } from "./fixtures.js";

const tokenizer = await tinyTokenizer();
const rules = (changes: Partial<StopRules> = {}): StopRules => ({
  eosTokenIds: [idOf("<eos>")],
  stop: [],
  maxTokens: 100,
  ...changes,
});
const words = (...tokens: string[]) => tokens.map(idOf);

/** Pushes ids in rounds of the given sizes; everything that came out. */
function outcome(ids: readonly number[], sizes: readonly number[], changes: Partial<StopRules>) {
  const sink = new TokenSink(tokenizer.detokenizer(), rules(changes));
  const reported: number[] = [];
  let printed = "";
  let reason: string | undefined;
  let at = 0;
  for (let round = 0; at < ids.length && reason === undefined; round++) {
    const size = sizes[round % sizes.length] ?? 1;
    const result = sink.push(ids.slice(at, at + size), size - 1);
    at += size;
    reported.push(...result.ids);
    printed += result.pieces.map((piece) => piece.text).join("");
    reason = result.stopReason;
  }
  printed += sink
    .finish()
    .map((piece) => piece.text)
    .join("");
  expect(printed).toBe(sink.text);
  expect(reported).toEqual(sink.ids);
  return { text: sink.text, ids: [...sink.ids], reason };
}

describe("an answer", () => {
  it("ends at an eos in the middle of a round", () => {
    const sink = new TokenSink(tokenizer.detokenizer(), rules());
    const result = sink.push(words("a", "<eos>", "b"), 2);
    expect(result).toEqual({
      ids: words("a", "<eos>"),
      pieces: [{ text: "a", drafted: true }],
      stopReason: "eos",
    });
    expect(sink.push(words("c"), 0)).toEqual({ ids: [], pieces: [] });
    expect(sink.text).toBe("a");
  });

  it("ends at the last allowed token", () => {
    expect(outcome(words("a", "b", "c"), [3], { maxTokens: 2 })).toEqual({
      text: "ab",
      ids: words("a", "b"),
      reason: "max tokens",
    });
    expect(outcome(words("a", "<eos>"), [1], { maxTokens: 2 }).reason).toBe("eos");
  });

  it("ends before a stop text, whose tokens are the last", () => {
    const ids = words("▁a", "b", "c", "a");
    expect(outcome(ids, [1], { stop: ["bc"] })).toEqual({
      text: " a",
      ids: words("▁a", "b", "c"),
      reason: "stop string",
    });
    expect(outcome(words("▁the", "a"), [2], { stop: ["h"] })).toEqual({
      text: " t",
      ids: words("▁the"),
      reason: "stop string",
    });
    expect(outcome(words("a", "b"), [1], { stop: ["bc"] })).toEqual({
      text: "ab",
      ids: words("a", "b"),
      reason: undefined,
    });
  });

  it("ends at a stop text inside a run of byte tokens, without waiting for its end", () => {
    const ids = [...words("a"), ...bytesOf("你好é"), ...words("b")];
    expect(outcome(ids, [1], { stop: ["好"] })).toEqual({
      text: "a你",
      ids: ids.slice(0, 7),
      reason: "stop string",
    });
    expect(outcome(ids, [1], { stop: ["a你"] })).toEqual({
      text: "",
      ids: ids.slice(0, 4),
      reason: "stop string",
    });
  });

  it("looks for stop texts in what is printed: not in a leading space that is dropped", async () => {
    const dropping = await tinyTokenizer(DECODERS["leading space dropped"]);
    const sink = new TokenSink(dropping.detokenizer(), rules({ stop: [" é"] }));
    expect(sink.push([...bytesOf(" é é"), ...words("b")], 0)).toMatchObject({ stopReason: "stop string" });
    expect(sink.text).toBe("é");
    // Nor is the run cut in two by the look: its last byte spoils all of it.
    const broken = [...bytesOf(" é"), ...words("<0xFF>", "b")];
    const other = new TokenSink(dropping.detokenizer(), rules({ stop: [" é"] }));
    expect(other.push(broken, 0).stopReason).toBeUndefined();
    other.finish();
    expect(other.text).toBe(dropping.decode(broken));
  });

  it("gives what it held back at the end", () => {
    expect(outcome([...words("a"), ...bytesOf("é")], [1], {}).text).toBe("aé");
    expect(outcome([...bytesOf("é"), ...words("<eos>")], [3], {}).text).toBe("é");
  });

  it("tells drafts from the target's own, also in text that was held back", () => {
    const sink = new TokenSink(tokenizer.detokenizer(), rules({ stop: ["abcx"] }));
    expect(sink.push(words("a", "b"), 1).pieces).toEqual([]);
    expect(sink.push(words("c", "."), 1).pieces).toEqual([
      { text: "a", drafted: true },
      { text: "b", drafted: false },
      { text: "c", drafted: true },
      { text: ".", drafted: false },
    ]);
  });

  it("has ids alone without a tokenizer", () => {
    const sink = new TokenSink(undefined, rules());
    expect(sink.push([5, 6, 1, 7], 3)).toEqual({ ids: [5, 6, 1], pieces: [], stopReason: "eos" });
    expect(sink.finish()).toEqual([]);
  });

  it("does not depend on how rounds group its tokens", () => {
    const ids = fc.array(
      fc.oneof(
        fc.nat(VOCAB_SIZE).map((id) => [id]),
        fc.constantFrom("a", "b", "c", "ab", "▁a", "\n").map((token) => words(token)),
        fc.constantFrom("é", "你", "ab").map(bytesOf),
      ),
      { maxLength: 20 },
    );
    const stops = fc.array(fc.constantFrom("ab", "bc", "a b", "你", "éa", "aba", " a"), { maxLength: 2 });
    const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });
    let stopped = 0;
    fc.assert(
      fc.property(ids, stops, sizes, fc.integer({ min: 1, max: 30 }), (groups, stop, rounds, maxTokens) => {
        const all = groups.flat();
        const changes = { stop, maxTokens };
        const plain = outcome(all, [1], changes);
        expect(outcome(all, rounds, changes)).toEqual(plain);
        if (plain.reason === "stop string") {
          stopped++;
          expect(stop.some((text) => tokenizer.decode(plain.ids).startsWith(plain.text + text))).toBe(true);
        }
        for (const text of stop) expect(plain.text).not.toContain(text);
      }),
      { numRuns: 500 },
    );
    expect(stopped).toBeGreaterThan(50);
  });
});
