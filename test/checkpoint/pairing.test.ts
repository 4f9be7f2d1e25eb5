import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type AssistantConfig,
  checkFit,
  checkPair,
  EMBEDDED_TARGET,
  openAssistant,
  openTarget,
  type TargetConfig,
} from "../../src/checkpoint/index.js";
import { tokenizerWarnings } from "../../src/checkpoint/pairing.js";
import { compareTokenizers, vocabularyBytes } from "../../src/checkpoint/tokenizer-content.js";
import { copyOf, temporaryFolder, thrown } from "./helpers.js";

describe("pairing", () => {
  const { config: target } = openTarget("test/golden/e-style/target");
  const { config: assistant } = openAssistant("test/golden/e-style/assistant");
  const layers = (changes: Readonly<Record<string, unknown>>, type: string) =>
    assistant.layers.map((layer) => (layer.type === type ? { ...layer, ...changes } : layer));

  it.each<[string, Partial<AssistantConfig>, Partial<TargetConfig>]>([
    ["hidden size", { backboneHiddenSize: 65 }, {}],
    ["vocabulary", { vocabSize: 321 }, {}],
    ["K/V heads of full_attention", { layers: layers({ numKvHeads: 1 }, "full_attention") }, {}],
    ["head size of sliding_attention", { layers: layers({ headDim: 8 }, "sliding_attention") }, {}],
    ["sliding window", { slidingWindow: 17 }, {}],
    [
      "rope of full_attention",
      { inverseFrequencies: { ...assistant.inverseFrequencies, full_attention: new Float32Array(16) } },
      {},
    ],
    [
      "layers of type sliding_attention",
      {},
      {
        layers: target.layers
          .filter((layer) => layer.type === "full_attention")
          .map((layer, i) => ({ ...layer, kvSource: i })),
      },
    ],
  ])("refuses another %s", (words, assistantChange, targetChange) => {
    checkFit(target, assistant);
    const { message } = thrown("pair", () =>
      checkFit({ ...target, ...targetChange }, { ...assistant, ...assistantChange }),
    );
    expect(message).toContain(`: ${words}`);
  });
});

describe("a checked pair's warnings", () => {
  const target = openTarget("test/golden/e-style/target");
  const assistant = openAssistant("test/golden/e-style/assistant");
  const renamed = (name: string, source: string) => {
    const folder = join(temporaryFolder(), name);
    cpSync(source, folder, { recursive: true });
    return folder;
  };
  const NOT_COMPARED = "tokenizers-not-compared";
  const warnings = (targetName: string, assistantName: string) =>
    checkPair(
      { ...target, folder: join("/models", targetName) },
      { ...assistant, folder: join("/models", assistantName) },
    ).filter(({ code }) => code !== NOT_COMPARED);

  it("are none where both were made for each other", () => {
    expect(checkPair(target, assistant).map(({ code }) => code)).toEqual([NOT_COMPARED]);
    expect(warnings("gemma-4-e4b-it-bf16", "gemma-4-E4B-it-assistant-4bit")).toEqual([]);
    expect(warnings("gemma-4-E4B-it-qat-4bit", "gemma-4-E4B-it-qat-q4_0-unquantized-assistant")).toEqual([]);
    expect(warnings("anything", "gemma-4-E4B-it-assistant")).toEqual([]);
  });

  it("tell another fine-tune, a packed target and another family, each by its code", () => {
    expect(warnings("gemma-4-E4B-it-abliterated", "gemma-4-E4B-it-assistant")).toEqual([
      {
        code: "other-fine-tune",
        message:
          "target and assistant fit, but the assistant (gemma-4-E4B-it-assistant) was made for another fine-tune than gemma-4-E4B-it-abliterated: fewer drafts may be accepted, the text stays the same",
      },
    ]);
    const packed = {
      ...target.config,
      quantization: {
        a: { bits: 8, groupSize: 64, mode: "affine" },
        b: { bits: 4, groupSize: 64, mode: "affine" },
      },
    } as const;
    const all = checkPair(
      { ...target, config: packed, folder: "/x/gemma-4-E4B" },
      {
        ...assistant,
        config: { ...assistant.config, modelType: "gemma4_unified_assistant" },
        folder: "/x/gemma-4-E4B-it-assistant",
      },
    );
    expect(all.map(({ code }) => code)).toEqual([
      "packed-target",
      "other-fine-tune",
      "other-family",
      NOT_COMPARED,
    ]);
    expect(all[0]?.message).toContain("packed in 4, 8 bits: ");
    expect(all[2]?.message).toContain("different families (gemma4 and gemma4_unified_assistant)");
  });

  it("takes an assistant without a tokenizer, and refuses a misfit first", () => {
    expect(checkPair(target, { ...assistant, folder: EMBEDDED_TARGET })).toEqual([
      {
        code: NOT_COMPARED,
        message: `the tokenizers were not compared: no tokenizer.json in ${target.folder}; copy it there`,
      },
    ]);
    const misfit = { ...assistant.config, vocabSize: 7 };
    expect(thrown("pair", () => checkPair(target, { ...assistant, config: misfit })).message).toContain(
      "the target has 320, the assistant 7",
    );
  });

  it("does not mind that a copy is another file", () => {
    const folder = renamed("other", join(EMBEDDED_TARGET, "..", "assistant"));
    expect(checkPair({ ...target, folder: EMBEDDED_TARGET }, { ...assistant, folder })).toEqual([]);
  });
});

describe("tokenizers of a pair", () => {
  interface TokenizerJson {
    readonly model: { vocab: Record<string, unknown> | unknown[] };
    added_tokens: unknown;
  }

  const spoiled = (change: (json: TokenizerJson) => void) => {
    const folder = copyOf(join(EMBEDDED_TARGET, "..", "assistant"));
    const file = join(folder, "tokenizer.json");
    const json: TokenizerJson = JSON.parse(readFileSync(file, "utf8"));
    change(json);
    writeFileSync(file, JSON.stringify(json));
    return () => compareTokenizers(EMBEDDED_TARGET, folder);
  };
  const swap = (vocab: TokenizerJson["model"]["vocab"], from: number, to: string) => {
    if (Array.isArray(vocab)) throw new Error("expected an object");
    const old = Object.entries(vocab).find(([, id]) => id === from)?.[0] ?? "";
    delete vocab[old];
    vocab[to] = from;
    return old;
  };

  it("may differ in all but the names of ids", () => {
    expect(
      spoiled((json) => {
        Object.assign(json, { normalizer: null, truncation: { max_length: 3 } });
      })(),
    ).toEqual([]);
    // As a list, ids are the places.
    expect(
      spoiled((json) => {
        const { vocab } = json.model;
        const list = Object.entries(vocab).sort(([, a], [, b]) => Number(a) - Number(b));
        json.model.vocab = list.map(([token]) => [token, 0]);
      })(),
    ).toEqual([]);
  });

  it("may be written with other white space and order of sections", () => {
    const folder = copyOf(join(EMBEDDED_TARGET, "..", "assistant"));
    const file = join(folder, "tokenizer.json");
    const json: Record<string, unknown> = JSON.parse(readFileSync(file, "utf8"));
    const reversed = Object.fromEntries(Object.entries(json).reverse());
    for (const other of [json, reversed]) {
      writeFileSync(file, JSON.stringify(other, null, 3));
      expect(compareTokenizers(EMBEDDED_TARGET, folder)).toEqual([]);
    }
  });

  it("are seen to be the same without being parsed", () => {
    const bytes = (text: string) => vocabularyBytes(Buffer.from(text)).toString("latin1");
    const one = bytes(
      '{"a":{"vocab":1},"added_tokens":[{"id":1}],"model":{"type":"x","vocab":{"a b\\"c":1,"d":2},"m":[1]}}',
    );
    expect(one).toBe('\u0001[{"id":1}]\u0002{"a b\\"c":1,"d":2}');
    const other = '{ "model" : { "vocab" : { "a b\\"c" : 1,\n"d":2 } },\t"z": {"added_tokens": 3} }';
    expect(bytes(other)).toBe('\u0002{"a b\\"c":1,"d":2}');
    for (const cut of [...Array(other.length).keys()]) expect(() => bytes(other.slice(0, cut))).not.toThrow();
    expect(bytes('}}]]:,:,\\"')).toBe("");
  });

  it("that call an id differently are told with it and both names", () => {
    let old = "";
    const { message } = thrown(
      "pair",
      spoiled(({ model }) => {
        old = swap(model.vocab, 1234, "another\nword");
        swap(model.vocab, 2000, "later");
      }),
    );
    expect(message).toContain(`id 1234 is ${JSON.stringify(old)} in `);
    expect(message).toContain('and "another\\nword" in ');
    const missing = spoiled(({ model }) => {
      swap(model.vocab, 4095, "x");
      if (!Array.isArray(model.vocab)) delete model.vocab.x;
    });
    expect(thrown("pair", missing).message).toContain("and no token in ");
  });

  it("are told apart by added tokens, too, but for free ones", () => {
    const added = spoiled((json) => {
      json.added_tokens = [{ id: 2000, content: "<tool>", special: true }];
    });
    expect(thrown("pair", added).message).toContain("id 2000 is ");
    const free = spoiled((json) => {
      swap(json.model.vocab, 2000, "<unused7>");
    });
    expect(free()).toEqual([2000]);
    expect(tokenizerWarnings(free())).toEqual([
      { code: "renamed-tokens", message: expect.stringContaining("1 free tokens have another name") },
    ]);
  });

  it.each<[string, (json: TokenizerJson) => void]>([
    ["model", (json) => Object.assign(json, { model: 3 })],
    ["model.vocab", (json) => Object.assign(json.model, { vocab: "x" })],
    ["model.vocab.a", (json) => Object.assign(json.model, { vocab: { a: -1 } })],
    ["model.vocab.a", (json) => Object.assign(json.model, { vocab: { a: 1e9 } })],
    ["model.vocab", (json) => Object.assign(json.model, { vocab: [[3, 4]] })],
    ["added_tokens", (json) => Object.assign(json, { added_tokens: {} })],
    ["added_tokens", (json) => Object.assign(json, { added_tokens: [null] })],
  ])("that are broken are told: %s", (where, change) => {
    expect(thrown("checkpoint", spoiled(change)).message).toContain(`tokenizer.json: ${where}: expected `);
  });
});
