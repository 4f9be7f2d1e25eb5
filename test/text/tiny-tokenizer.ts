// A vocabulary small enough to be read, with all kinds of entries that Gemma's has.

/** Gemma's own decoder. */
export const GEMMA = {
  type: "Sequence",
  decoders: [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
  ],
};
const STRIP = { type: "Strip", content: " ", start: 1, stop: 0 };

/** Decoders that are streamed, by name. */
export const DECODERS = {
  gemma: GEMMA,
  "leading space dropped": { ...GEMMA, decoders: [...GEMMA.decoders, STRIP] },
  metaspace: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  "byte level": { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  none: null,
} as const;

const SPECIALS = ["<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>"];
const BYTES = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
/** GPT-2's printable letters for the bytes of ä, 你 and an emoji, so that byte-level text is broken in all ways. */
const LETTERS = ["Ã", "¤", "ä", "½", "ł", "ð", "Ł", "ĺ", "Ģ", "Ġ"];
const WORDS = [
  "▁",
  "▁▁",
  "▁a",
  "▁the",
  "a",
  "b",
  "c",
  "ab",
  "bc",
  "STOP",
  "\n",
  "你",
  "好",
  "😀",
  "�",
  "é",
  ".",
  "user",
  "model",
];

const VOCAB = [...new Set([...SPECIALS, ...BYTES, ...LETTERS, ...WORDS])];

/** Entries of the tiny vocabulary; ids at and past it are strangers. */
export const VOCAB_SIZE = VOCAB.length;

export function idOf(token: string): number {
  const id = VOCAB.indexOf(token);
  if (id < 0) throw new Error(`no token ${token}`);
  return id;
}

/** Ids of the bytes of a text. */
export function bytesOf(text: string): number[] {
  return [...Buffer.from(text)].map((byte) => idOf(BYTES[byte] ?? ""));
}

export function tokenizerJson(decoder: unknown): Record<string, unknown> {
  return {
    version: "1.0",
    // Both must be switched off when it is loaded.
    truncation: { direction: "Right", max_length: 3, strategy: "LongestFirst", stride: 0 },
    padding: null,
    added_tokens: SPECIALS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    pre_tokenizer: null,
    post_processor: null,
    decoder,
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(VOCAB.map((token, id) => [token, id])),
      merges: [
        ["▁", "a"],
        ["a", "b"],
      ],
    },
  };
}
