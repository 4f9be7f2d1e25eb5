import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EMBEDDED_TARGET } from "../../src/checkpoint/index.js";
import { MlxGemmaError } from "../../src/errors.js";
import { openTokenizer } from "../../src/text/tokenizer.js";
import { readTraits } from "../../src/text/tokenizer-file.js";
import { rejected, temporaryFolder, thrown } from "../checkpoint/helpers.js";
import { DECODERS, idOf, tinyTokenizer, tokenizerFolder, tokenizerJson } from "./fixtures.js";

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
      const traits = readTraits(file);
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
    expect(readTraits(join(tokenizerFolder(decoder), "tokenizer.json")).hold).toBe(hold);
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
    expect(thrown("checkpoint", () => readTraits(temporaryFolder())).message).toContain("found a folder");
  });
});
