import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EMBEDDED_TARGET } from "../../src/checkpoint/index.js";
import { Detokenizer, type PieceDecoder } from "../../src/text/detokenizer.js";
import { openTokenizer, type Tokenizer } from "../../src/text/tokenizer.js";
import { bytesOf, DECODERS, idOf, tinyTokenizer, VOCAB_SIZE } from "./fixtures.js";

function stream(
  decoder: PieceDecoder,
  ids: readonly number[],
): { readonly parts: string[]; readonly text: string } {
  const detokenizer = new Detokenizer(decoder);
  const parts = ids.map((id) => detokenizer.push(id));
  parts.push(detokenizer.flush());
  return { parts, text: parts.join("") };
}

/** Ids that meet the hard cases often: runs of bytes, whole characters in bytes, specials, strangers. */
const someIds = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.nat(VOCAB_SIZE + 3).map((id) => [id]) },
      { weight: 2, arbitrary: fc.nat(VOCAB_SIZE - 262).map((id) => [262 + id]) },
      { weight: 2, arbitrary: fc.constantFrom("é", "你", "😀", "a").map(bytesOf) },
      { weight: 1, arbitrary: fc.constantFrom("你", "😀").map((text) => bytesOf(text).slice(0, 2)) },
    ),
    { maxLength: 24 },
  )
  .map((groups) => groups.flat());

describe("streaming equals decoding at once", () => {
  it.each(Object.entries(DECODERS))("for any ids: %s", async (_, decoder) => {
    const tokenizer = await tinyTokenizer(decoder);
    fc.assert(
      fc.property(someIds, (ids) => {
        expect(stream(tokenizer, ids).text).toBe(tokenizer.decode(ids));
      }),
      { numRuns: 400 },
    );
  });

  it("for any ids of the embedded pair's tokenizer, and as the package itself decodes them", async () => {
    const tokenizer = await openTokenizer(EMBEDDED_TARGET);
    if (!tokenizer) throw new Error("the embedded pair has a tokenizer");
    const rust = (await import("tokenizers")).Tokenizer.fromFile(`${EMBEDDED_TARGET}/tokenizer.json`);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 40 }), async (ids) => {
        const { text } = stream(tokenizer, ids);
        expect(text).toBe(await rust.decode(ids, true));
      }),
      { numRuns: 200 },
    );
  });

  it("is not what decoding token by token gives (control)", async () => {
    for (const decoder of [DECODERS.gemma, DECODERS["leading space dropped"], DECODERS["byte level"]]) {
      const tokenizer = await tinyTokenizer(decoder);
      const naive = (ids: readonly number[]) => ids.map((id) => tokenizer.decode([id])).join("");
      const found = fc.check(
        fc.property(someIds, (ids) => naive(ids) === tokenizer.decode(ids)),
        { numRuns: 4000, seed: 1 },
      );
      expect(found.failed).toBe(true);
    }
  });
});

describe("what is held back", () => {
  it("is a run of byte tokens, until it ends", async () => {
    const tokenizer = await tinyTokenizer();
    expect(stream(tokenizer, [idOf("a"), ...bytesOf("你好"), idOf("b")]).parts).toEqual([
      "a",
      "",
      "",
      "",
      "",
      "",
      "",
      "你好b",
      "",
    ]);
    // One bad byte spoils the whole run, as in decoding at once: so nothing of it may have been given.
    expect(stream(tokenizer, [...bytesOf("é"), idOf("<0xFF>"), idOf("b")]).parts).toEqual([
      "",
      "",
      "",
      "���b",
      "",
    ]);
    // Special tokens do not end a run.
    expect(stream(tokenizer, [idOf("<0xC3>"), idOf("<turn|>"), idOf("<0xA9>")]).parts).toEqual([
      "",
      "",
      "",
      "é",
    ]);
  });

  it("is nothing else in Gemma's format, not even U+FFFD", async () => {
    const tokenizer = await tinyTokenizer();
    expect(stream(tokenizer, [idOf("▁a"), idOf("�"), idOf("😀"), idOf("▁▁")]).parts).toEqual([
      " a",
      "�",
      "😀",
      "  ",
      "",
    ]);
  });

  it("says what a run says so far", async () => {
    const detokenizer = (await tinyTokenizer()).detokenizer();
    const seen = [...bytesOf("é你"), idOf("<0x80>"), idOf("a")].map((id) => {
      detokenizer.push(id);
      return detokenizer.tentative;
    });
    expect(seen).toEqual(["", "é", "é", "é", "é你", "", ""]);
  });
});

describe("work", () => {
  const counting = (tokenizer: Tokenizer) => {
    let pieces = 0;
    const decoder: PieceDecoder = {
      piece: (id) => tokenizer.piece(id),
      join: (list) => {
        pieces += list.length;
        return tokenizer.join(list);
      },
      hold: tokenizer.hold,
      leading: tokenizer.leading,
    };
    return { decoder, pieces: () => pieces };
  };

  it.each<[keyof typeof DECODERS, string]>([
    ["gemma", "a"],
    ["gemma", "<0x61>"],
    ["gemma", "<0xFF>"],
    ["byte level", "Ã"],
    ["leading space dropped", "▁a"],
  ])("is linear: %s, a thousand of %s", async (name, token) => {
    const { decoder, pieces } = counting(await tinyTokenizer(DECODERS[name]));
    stream(decoder, Array(1000).fill(idOf(token)));
    expect(pieces()).toBeLessThan(5000);
  });
});
