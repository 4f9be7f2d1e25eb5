import { Tokenizer as RustTokenizer } from "tokenizers";
import { beforeAll, describe, expect, it } from "vitest";
import { EMBEDDED_TARGET } from "../../src/checkpoint/index.js";
import { openTokenizer, type Tokenizer } from "../../src/text/tokenizer.js";

/** Of two, three and four bytes, at the ends of their ranges; a byte order mark; characters of several code points. */
const CHARACTERS = [
  ..."\u0080é\u07ff\u0800你\ud7ff\ue000\ufeff\ufffd\uffff",
  "😀",
  "\u{10000}",
  "\u{10ffff}",
  "e\u0301",
  "👩‍👩‍👧",
  "🇩🇪",
];

let tokenizer: Tokenizer;
/** The package itself, which decodes all ids at once. */
let rust: RustTokenizer;
let specials: number[];
let bytes: number[];

beforeAll(async () => {
  const opened = await openTokenizer(EMBEDDED_TARGET);
  if (!opened) throw new Error("the embedded pair has a tokenizer");
  tokenizer = opened;
  rust = RustTokenizer.fromFile(`${EMBEDDED_TARGET}/tokenizer.json`);
  const ids = Array.from({ length: tokenizer.vocabSize }, (_, id) => id);
  specials = ids.filter((id) => tokenizer.piece(id) === undefined);
  bytes = Array.from({ length: 256 }, (_, byte) => {
    const id = rust.tokenToId(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    if (typeof id !== "number") throw new Error(`no token for byte ${byte}`);
    return id;
  });
});

const bytesOf = (text: string): number[] => [...Buffer.from(text)].map((byte) => bytes[byte] ?? -1);

/** Every way to cut a text's bytes in two. */
function splits(text: string): [number[], number[]][] {
  const all = bytesOf(text);
  return all.map((_, cut) => [all.slice(0, cut), all.slice(cut)]);
}

function streamed(ids: readonly number[], specialTokens = false): string {
  const detokenizer = tokenizer.detokenizer(specialTokens);
  return ids.map((id) => detokenizer.push(id)).join("") + detokenizer.flush();
}

async function mustEqual(ids: readonly number[]): Promise<void> {
  expect(streamed(ids), ids.join(" ")).toBe(await rust.decode([...ids], true));
  expect(streamed(ids, true), ids.join(" ")).toBe(await rust.decode([...ids], false));
}

describe("streaming equals decoding at once, special tokens left out or written", () => {
  it("with every special token inside every character, at every byte", async () => {
    expect(specials.length).toBeGreaterThan(20);
    for (const text of CHARACTERS) {
      for (const [before, after] of splits(text)) {
        for (const special of specials) await mustEqual([...before, special, ...after]);
      }
    }
  });

  it("with one character cut off by another, at every byte", async () => {
    for (const [first] of CHARACTERS.flatMap(splits)) {
      for (const second of CHARACTERS) await mustEqual([...first, ...bytesOf(second)]);
    }
  });

  it("with every entry of the vocabulary inside a character, and beside whole ones", async () => {
    const [lead, tail] = splits("é")[1] ?? [[], []];
    for (let id = 0; id < tokenizer.vocabSize; id++) {
      await mustEqual([...lead, id, ...tail, id, ...bytesOf("你"), id]);
    }
  });

  it("with every byte before and after those at which UTF-8's ranges end", async () => {
    const ends = [
      0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xff,
    ];
    for (const end of ends.map((byte) => bytes[byte] ?? -1)) {
      for (const byte of bytes) await mustEqual([end, byte, end]);
    }
  });

  it("is not what decoding token by token gives, wherever a character is cut (control)", async () => {
    for (const text of CHARACTERS) {
      const parts = await Promise.all(bytesOf(text).map((id) => rust.decode([id], true)));
      expect(parts.join("")).not.toBe(text);
      expect(streamed(bytesOf(text))).toBe(text);
    }
  });
});
