// A tokenizer.json of the real one's size and kind: BPE with byte fallback, 262144 entries, some 510 thousand merges.
import { seedOf, uniform } from "./fill.mjs";

const SPECIALS = [
  "<pad>",
  "<eos>",
  "<bos>",
  "<unk>",
  "<mask>",
  "<|turn>",
  "<turn|>",
  "<|think|>",
  "<|channel>",
  "<channel|>",
  "<|image>",
  "<|image|>",
  "<image|>",
  "<|audio>",
  "<|audio|>",
  "<audio|>",
];
const UNUSED = 100;
const LETTERS = [
  ..."▁etaoinshrdlucmfwypvbgkjqxzETAOINSHRDLUCMFWYPVBGKJQXZ0123456789.,;:!?'\"()[]{}<>/\\|@#$%^&*-_=+~`\n\t",
];
/** Ranges of single characters that stand at the end of the vocabulary: Latin, Greek, Cyrillic, Kana, Han. */
const CHARACTERS = [
  [0xc0, 0x24f],
  [0x370, 0x3ff],
  [0x400, 0x4ff],
  [0x3041, 0x30ff],
  [0x4e00, 0x6fff],
];
const CHAIN = 5;
/** Characters of a token that may become part of a longer one. */
const SHORT = 3;

/** @returns the text of a tokenizer.json with `size` entries. */
export function tokenizerJson(size, seed) {
  const characters = CHARACTERS.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i)),
  );
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const unused = Array.from({ length: UNUSED }, (_, i) => `<unused${i}>`);
  const head = [...SPECIALS, ...unused, ...bytes, ...LETTERS];
  const { tokens, merges } = grow(size - head.length - characters.length, seed);
  const vocab = {};
  for (const [id, token] of [...head, ...tokens, ...characters].entries()) vocab[token] = id;
  const added = [...SPECIALS, ...unused].map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: id < SPECIALS.length,
  }));
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    pre_tokenizer: {
      type: "Split",
      pattern: { String: " " },
      behavior: "MergedWithPrevious",
      invert: false,
    },
    post_processor: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
  return JSON.stringify(tokenizer, null, 2); // as the tokenizers package writes it
}

/**
 * Chains of five parts, of letters or of tokens that are there: every piece of a chain becomes a token, and every way to
 * cut a piece in two a merge. That gives two merges a token, as the real one has.
 */
function grow(count, seed) {
  const random = uniform(seedOf("tokenizer", seed));
  const letters = LETTERS.filter((letter) => /[\p{L}▁]/u.test(letter));
  const short = [...letters]; // parts of a chain
  const known = new Set(LETTERS);
  const tokens = [];
  const merges = [];
  while (tokens.length < count) {
    const chain = Array.from({ length: CHAIN }, () => pick(short, random));
    // A space stands at the beginning of a word only.
    if (chain.slice(1).some((part) => part.startsWith("▁"))) continue;
    for (let parts = 2; parts <= CHAIN; parts++) {
      for (let first = 0; first + parts <= CHAIN && tokens.length < count; first++) {
        const piece = chain.slice(first, first + parts);
        const token = piece.join("");
        if (known.has(token)) continue;
        known.add(token);
        tokens.push(token);
        if (token.length <= SHORT) short.push(token);
        for (let cut = 1; cut < parts; cut++) {
          merges.push([piece.slice(0, cut).join(""), piece.slice(cut).join("")]);
        }
      }
    }
  }
  return { tokens, merges };
}

/** Squared: half of the picks come from the first quarter. */
function pick(parts, random) {
  return parts[Math.floor((random(2 ** 30) / 2 ** 30) ** 2 * parts.length)];
}
