import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EMBEDDED_TARGET } from "../../src/checkpoint/index.js";
import { MlxGemmaError } from "../../src/errors.js";
import { openTokenizer } from "../../src/text/tokenizer.js";
import { readTokenizerFile } from "../../src/text/tokenizer-file.js";
import { rejected, temporaryFolder, thrown } from "../checkpoint/helpers.js";
import { DECODERS, idOf, tinyTokenizer, tokenizerFolder, tokenizerJson } from "./fixtures.js";

const BPE = { type: "BPE", unk_token: "<unk>", fuse_unk: true, vocab: { "<unk>": 0 }, merges: [] };
const TOKEN = {
  id: 1,
  content: "x",
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
};
const ESCAPED = "normalizer with an escape in it";
const TWICE = "another model";
const steps = (list: string, each: readonly unknown[]) => ({ type: "Sequence", [list]: each });

describe("encoding", () => {
  it("recognizes special tokens, adds none, and is not cut", async () => {
    const tokenizer = await tinyTokenizer();
    expect(await tokenizer.encode("<bos><|turn>user\n ab")).toEqual([
      idOf("<bos>"),
      idOf("<|turn>"),
      ...(await tokenizer.encode("user")),
      idOf("\n"),
      idOf("▁a"),
      idOf("b"),
    ]);
  });

  it("falls back to bytes", async () => {
    const tokenizer = await tinyTokenizer();
    const ids = await tokenizer.encode("ñ\u{1F680}\ud800");
    expect(tokenizer.decode(ids)).toBe("ñ\u{1F680}\ufffd");
  });

  it("puts <bos> in front of raw text, once", async () => {
    const tokenizer = await tinyTokenizer();
    expect(await tokenizer.encodeRaw("a")).toEqual([idOf("<bos>"), idOf("a")]);
    expect(await tokenizer.encodeRaw("<bos>a")).toEqual([idOf("<bos>"), idOf("a")]);
    const without = await tinyTokenizer(DECODERS.gemma, { add_bos_token: false });
    expect(await without.encodeRaw("a")).toEqual([idOf("a")]);
    const named = await tinyTokenizer(DECODERS.gemma, { bos_token: { content: "<|turn>" } });
    expect(named.bosTokenId).toBe(idOf("<|turn>"));
  });

  it("comes back as it was, with the embedded pair's tokenizer", async () => {
    const tokenizer = await openTokenizer(EMBEDDED_TARGET);
    if (!tokenizer) throw new Error("the embedded pair has a tokenizer");
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme" }), async (text) => {
        fc.pre(!/<|▁/.test(text));
        expect(tokenizer.decode(await tokenizer.encode(text))).toBe(text);
      }),
      { numRuns: 200 },
    );
  });
});

describe("decoding", () => {
  it("skips special tokens and ids that there are not", async () => {
    const tokenizer = await tinyTokenizer();
    const ids = [
      idOf("<bos>"),
      idOf("a"),
      1e6,
      -1,
      1.5,
      2 ** 32 + idOf("b"),
      Number.NaN,
      idOf("<turn|>"),
      idOf("b"),
    ];
    expect(tokenizer.decode(ids)).toBe("ab");
  });
});

describe("tokenizer.json", () => {
  it("may be absent", async () => {
    expect(await openTokenizer(temporaryFolder())).toBeUndefined();
  });

  it("is read beside its vocabulary, in any order of sections", () => {
    const folder = temporaryFolder();
    const file = join(folder, "tokenizer.json");
    const { model, decoder, ...rest } = tokenizerJson(DECODERS.gemma);
    const tricky = { ...rest, model, 'x"y\\': [1, { model: "}" }], decoder, last: "no" };
    for (const text of [JSON.stringify(tricky), JSON.stringify(tricky, null, 2)]) {
      writeFileSync(file, text);
      const { traits } = readTokenizerFile(file);
      expect(traits.hold).toBe("bytes");
      expect(traits.leading).toBe(false);
      expect([...traits.specials]).toEqual(["<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>"]);
    }
  });

  it.each<[string, unknown, string]>([
    ["gemma", DECODERS.gemma, "bytes"],
    ["byte level", DECODERS["byte level"], "replacement"],
    ["metaspace", DECODERS.metaspace, "none"],
  ])("tells what its decoder holds: %s", (_, decoder, hold) => {
    expect(readTokenizerFile(join(tokenizerFolder(decoder), "tokenizer.json")).traits.hold).toBe(hold);
  });

  it.each<[string, unknown]>([
    ["WordPiece", { type: "WordPiece", prefix: "##", cleanup: true }],
    ["CTC", { type: "CTC", pad_token: "<pad>", word_delimiter_token: "|", cleanup: true }],
    [
      "Replace",
      {
        type: "Sequence",
        decoders: [{ type: "Fuse" }, { type: "Replace", pattern: { String: "ab" }, content: "" }],
      },
    ],
    [
      "Strip",
      { type: "Sequence", decoders: [{ type: "Fuse" }, { type: "Strip", content: " ", start: 0, stop: 1 }] },
    ],
  ])("with a decoder that can't be streamed is refused: %s", async (type, decoder) => {
    const error = await rejected("unsupported", openTokenizer(tokenizerFolder(decoder)));
    expect(error.message).toContain(`a step of type "${type}"`);
  });

  it.each<[string, string]>([
    ["{", "expected a tokenizer"],
    ["[]", "expected a tokenizer"],
    ["{}", "expected a tokenizer"],
    ["", "expected a tokenizer"],
    [`{"decoder":{"type":"Sequence","decoders":3}}`, "decoder: expected a list"],
    [`{"added_tokens":{}}`, "added_tokens: expected a list"],
    [`{"decoder":{]}`, "expected JSON"],
    [`{"model":${"[".repeat(100_000)}`, "levels of nesting"],
  ])("that is broken is refused: %.30s", async (text, words) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "tokenizer.json"), text);
    expect((await rejected("checkpoint", openTokenizer(folder))).message).toContain(words);
  });

  // Each of the first eight ends the process, or does not end at all, when the tokenizers package gets to see it.
  it.each<[string, Record<string, unknown>, "unsupported" | "checkpoint", string]>([
    [
      "a regular expression that tries for ever",
      { pre_tokenizer: { type: "Split", pattern: { Regex: "(a+)+$" }, behavior: "Isolated", invert: false } },
      "unsupported",
      "pre_tokenizer: the pattern of Split: found a regular expression",
    ],
    [
      "a regular expression in its normalizer",
      { normalizer: { type: "Replace", pattern: { Regex: "(x+x+)+y" }, content: "" } },
      "unsupported",
      "normalizer: the pattern of Replace",
    ],
    [
      "a regular expression in its decoder",
      { decoder: { type: "Replace", pattern: { Regex: "(x+x+)+y" }, content: "" } },
      "unsupported",
      "decoder: the pattern of Replace",
    ],
    [
      "a character map",
      { normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } },
      "unsupported",
      "Precompiled",
    ],
    [
      "a character map under an escaped name",
      { normalizer: undefined, [ESCAPED]: { type: "Precompiled", precompiled_charsmap: "AAAA" } },
      "unsupported",
      "Precompiled",
    ],
    [
      "a prefix",
      { model: { ...BPE, continuing_subword_prefix: "é" } },
      "unsupported",
      "continuing_subword_prefix",
    ],
    [
      "a template with a second text, which ends the process",
      {
        post_processor: {
          type: "TemplateProcessing",
          single: [{ Sequence: { id: "B", type_id: 0 } }],
          pair: [],
          special_tokens: {},
        },
      },
      "unsupported",
      "post_processor: a piece of TemplateProcessing: found",
    ],
    [
      "a post-processor of BERT's",
      { post_processor: { type: "BertProcessing" } },
      "unsupported",
      "BertProcessing",
    ],
    [
      "an empty text to prepend, which ends the process",
      { normalizer: { type: "Prepend", prepend: "" } },
      "unsupported",
      "Prepend: found a text of 0 bytes",
    ],
    [
      "replacements that explode",
      {
        normalizer: steps(
          "normalizers",
          Array(28).fill({ type: "Replace", pattern: { String: "a" }, content: "aa" }),
        ),
      },
      "checkpoint",
      "at most 256 times longer, found 268435456 times",
    ],
    [
      "replacements that explode in sequences of sequences",
      {
        decoder: steps("decoders", [
          steps("decoders", Array(15).fill({ type: "Replace", pattern: { String: "a" }, content: "aa" })),
          steps("decoders", Array(15).fill({ type: "Replace", pattern: { String: "a" }, content: "aa" })),
        ]),
      },
      "checkpoint",
      "times longer",
    ],
    [
      "a list of the wrong section",
      { normalizer: { type: "Sequence", decoders: [] } },
      "checkpoint",
      "a list of normalizers",
    ],
    ["chance", { model: { ...BPE, dropout: 0.5 } }, "unsupported", "model.dropout"],
    ["another model", { model: { ...BPE, type: "Unigram" } }, "unsupported", "model.type"],
    ["a model of no type", { model: { ...BPE, type: undefined } }, "unsupported", "model.type"],
    ["a model that is a list", { model: [BPE] }, "checkpoint", "found no model"],
    [
      "a token of a megabyte",
      { model: { ...BPE, vocab: { ["x".repeat(2 ** 20)]: 0 } } },
      "checkpoint",
      "texts of at most 4096",
    ],
    [
      "merges of tokens that there are not",
      { model: { ...BPE, merges: [["zz", "qq"]] } },
      "checkpoint",
      "out of vocabulary",
    ],
    [
      "a merge that is longer than every token, which ends the package's process",
      { model: { ...BPE, vocab: { "<unk>": 0, ba: 1 }, merges: [["<unk>", "ba"]] } },
      "checkpoint",
      "found one of 7 bytes where the longest token has 5",
    ],
    [
      "the same in the older form, with a character of three bytes",
      { model: { ...BPE, vocab: { "<unk>": 0, "▁": 1 }, merges: ["▁ ▁"] } },
      "checkpoint",
      "found one of 6 bytes where the longest token has 5",
    ],
    [
      "more added tokens than can be",
      { added_tokens: Array(30_000).fill(TOKEN) },
      "checkpoint",
      "at most 200000 names, objects and lists",
    ],
    ["a model twice", { [TWICE]: BPE }, "checkpoint", "stands twice"],
  ])("with %s is refused", async (_, change, code, words) => {
    const folder = temporaryFolder();
    const text = JSON.stringify({ ...tokenizerJson(DECODERS.gemma), ...change });
    writeFileSync(
      join(folder, "tokenizer.json"),
      text.replace(ESCAPED, "n\\u006frmalizer").replace(TWICE, "model"),
    );
    const start = performance.now();
    expect((await rejected(code, openTokenizer(folder))).message).toContain(words);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it("counts a merge's bytes, not the escapes that it is written with", async () => {
    const folder = temporaryFolder();
    const model = { ...BPE, vocab: { "<unk>": 0, "▁": 1, "▁▁": 2 }, merges: [["▁", "▁"]] };
    const text = JSON.stringify({ ...tokenizerJson(DECODERS.gemma), added_tokens: [], model });
    writeFileSync(join(folder, "tokenizer.json"), text.replace('["▁","▁"]', '["\\u2581","\\u2581"]'));
    expect((await openTokenizer(folder))?.vocabSize).toBe(3);
  });

  it("with merges that lead in a circle, or nowhere, encodes what it can", async () => {
    const folder = temporaryFolder();
    const model = {
      ...BPE,
      vocab: { "<unk>": 0, a: 1, b: 2, ab: 3, ba: 4, aba: 5, "": 6 },
      merges: [
        ["a", "b"],
        ["b", "a"],
        ["ab", "a"],
        ["a", "ba"],
        ["", "a"],
        ["a", ""],
      ],
    };
    writeFileSync(
      join(folder, "tokenizer.json"),
      JSON.stringify({ ...tokenizerJson(DECODERS.gemma), added_tokens: [], model }),
    );
    const tokenizer = await openTokenizer(folder);
    expect(tokenizer?.decode((await tokenizer.encode("ab".repeat(5000))) ?? [])).toBe("ab".repeat(5000));
  });

  it("that is larger than any is refused unread", () => {
    const file = join(temporaryFolder(), "tokenizer.json");
    writeFileSync(file, "{");
    truncateSync(file, 2 ** 40);
    expect(thrown("checkpoint", () => readTokenizerFile(file)).message).toContain(
      "expected at most 67108864 bytes",
    );
  });

  it("never crashes or hangs when mutated", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "tokenizer.json");
    const source = Buffer.from(JSON.stringify(tokenizerJson(DECODERS.gemma)));
    const places = fc.array(fc.tuple(fc.nat(source.length - 1), fc.constantFrom(...'{}[]",:\\0a')), {
      minLength: 1,
      maxLength: 3,
    });
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(places, async (mutations) => {
        const bytes = Buffer.from(source);
        for (const [at, letter] of mutations) bytes.write(letter, at);
        writeFileSync(file, bytes);
        try {
          await openTokenizer(folder);
        } catch (error) {
          if (!(error instanceof MlxGemmaError)) throw error;
          refused++;
        }
      }),
      { numRuns: 200 },
    );
    expect(refused).toBeGreaterThan(50);
  });

  it("that is not a file is refused", () => {
    expect(thrown("checkpoint", () => readTokenizerFile(temporaryFolder())).message).toContain(
      "found a folder",
    );
  });
});
