import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Tokenizer } from "tokenizers";
import { resolveAssistant, resolveTarget } from "../../../dist/checkpoint/config.js";
import { ITEM_SIZE } from "../../../dist/checkpoint/dtypes.js";
import { assistantWeights, targetWeights } from "../../../dist/checkpoint/expected-weights.js";
import { parseJson } from "../../../dist/checkpoint/json.js";
import { packingRules } from "../../../dist/checkpoint/packing-rules.js";
import { headerLength, PREFIX, parseHeader } from "../../../dist/checkpoint/safetensors-header.js";
import { parseIndex } from "../../../dist/checkpoint/shards.js";
import { openChatTemplate } from "../../../dist/text/chat-template.js";
import { readTokenizer } from "../../../dist/text/tokenizer-file.js";
import { mutateBytes, mutateValue, writeJson } from "./mutate.mjs";
import { Random } from "./random.mjs";

export const CORPUS = fileURLToPath(new URL("../corpus/", import.meta.url));

/** The files of a target's corpus, by name; a control has to find its defect without the cases that are known. */
export function corpusOf(target) {
  const folder = join(CORPUS, sourceOf(target));
  return readdirSync(folder)
    .filter((name) => target === sourceOf(target) || name.startsWith("seed-"))
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
}

/** A control reads its target's corpus. */
const sourceOf = (target) => target.replace(/-unchecked$/, "");

/** The input number `index` of a target: first the corpus as it is, then what is made from it. */
export function inputOf(target, corpus, seed, index) {
  const known = corpus[index];
  if (known) return known.bytes;
  const random = new Random(seed + Math.imul(index, 0x9e3779b1));
  const { bytes } = random.of(corpus);
  const others = corpus.map((entry) => entry.bytes);
  if (sourceOf(target) === "template" || random.chance(0.25)) return mutateBytes(bytes, others, random);
  const framed = sourceOf(target) === "header";
  const text = framed ? bytes.subarray(PREFIX, PREFIX + Number(bytes.readBigUInt64LE())) : bytes;
  let value = JSON.parse(text.toString("utf8"));
  for (let times = 1 + random.below(3); times > 0; times--) value = mutateValue(value, random);
  let json = Buffer.from(writeJson(value, random) ?? "");
  if (random.chance(0.1)) json = mutateBytes(json, others, random);
  if (!framed) return json;
  const length = Buffer.alloc(PREFIX);
  length.writeBigUInt64LE(
    BigInt(json.length + (random.chance(0.03) ? random.below(40) - 20 : 0)) & 0xffffffffffffffffn,
  );
  return Buffer.concat([length, json, bytes.subarray(PREFIX + text.length)]);
}

/**
 * What is done with an input. It returns normally for a good one, throws an `MlxGemmaError` for a bad one; anything else is a
 * finding: another error, an end of the process, more than 2 s. What is taken for good is checked once more, in another way.
 * Those called `-unchecked` are controls: they leave a check out, which must be found.
 */
export const TARGETS = {
  header(bytes) {
    const place = { file: "model.safetensors", size: bytes.length };
    const length = headerLength(bytes.subarray(0, PREFIX), place);
    sound(parseHeader(bytes.subarray(PREFIX, PREFIX + length), place), PREFIX + length, bytes.length);
  },
  "header-unchecked"(bytes) {
    const place = { file: "model.safetensors", size: bytes.length };
    const length = headerLength(bytes.subarray(0, PREFIX), place);
    const nobody = () => {}; // Is told of flaws, and does not mind.
    sound(parseHeader(bytes.subarray(PREFIX, PREFIX + length), place, nobody), PREFIX + length, bytes.length);
  },
  index(bytes) {
    beside(parseIndex(parseJson(bytes.toString("utf8"), "index", { maxDepth: 8 }), "index"));
  },
  "index-unchecked"(bytes) {
    const map = parseJson(bytes.toString("utf8"), "index", { maxDepth: 8 })?.weight_map ?? {};
    beside(new Map(Object.entries(map).filter(([, shard]) => typeof shard === "string")));
  },
  config(bytes) {
    const json = parseJson(bytes.toString("utf8"), "config.json");
    const files = { file: "config.json", config: json };
    const assistant = String(json?.model_type).endsWith("_assistant");
    const config = assistant ? resolveAssistant(files) : resolveTarget(files);
    const weights = assistant ? assistantWeights(config) : targetWeights(config);
    for (const { shape } of weights) assert(shape.every((axis) => Number.isSafeInteger(axis) && axis > 0));
    for (const table of Object.values(config.inverseFrequencies)) assert(table.every(Number.isFinite));
    const rules = packingRules(files, assistant ? "assistant" : "target");
    for (const { name } of weights) rules?.of(name.replace(/\.weight$/, "")).parameters();
  },
  tokenizer(bytes) {
    return used(readTokenizer(bytes, "tokenizer.json").text);
  },
  "tokenizer-unchecked"(bytes) {
    return used(bytes.toString("utf8"));
  },
  async template(bytes) {
    const folder = mkdtempSync(join(tmpdir(), "mlx-gemma-fuzz-"));
    try {
      writeFileSync(join(folder, "chat_template.jinja"), bytes);
      const messages = [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi" },
      ];
      assert((await openChatTemplate(folder).render(messages)).length < 9e6);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** Tensors fill the file from `start` to its end, each as long as its shape says. */
function sound(tensors, start, size) {
  let filled = start;
  for (const { dtype, shape, offset, bytes } of tensors.values()) {
    let expected = BigInt(ITEM_SIZE[dtype]);
    for (const axis of shape) expected *= BigInt(axis);
    assert.equal(expected, BigInt(bytes));
    assert(offset >= start && offset + bytes <= size);
    filled += bytes;
  }
  assert.equal(filled, size);
  const order = [...tensors.values()].filter(({ bytes }) => bytes > 0).sort((a, b) => a.offset - b.offset);
  for (const [i, { offset, bytes }] of order.entries())
    assert(offset + bytes <= (order[i + 1]?.offset ?? size));
}

/** Every shard lies beside the index. */
function beside(shards) {
  for (const shard of shards.values()) {
    assert.equal(dirname(join("/folder", shard)), "/folder");
    assert(!/[\\:\0]/.test(shard));
  }
}

/** Loads a tokenizer, and encodes and decodes with it. */
function used(text) {
  let tokenizer;
  try {
    tokenizer = Tokenizer.fromString(text);
    tokenizer.disableTruncation();
    tokenizer.disablePadding();
  } catch {
    return; // An error of the package's becomes one of ours.
  }
  const texts = [
    "ab the cab\n",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "ñ😀<bos>你好 ",
  ];
  return Promise.all(
    texts.map((one) => tokenizer.encode(one, null, { addSpecialTokens: false }).catch(() => undefined)),
  ).then((encodings) => {
    for (const encoding of encodings) {
      const ids = encoding?.getIds() ?? [];
      assert(ids.length < 100_000);
      const pieces = ids.flatMap((id) => tokenizer.idToToken(id) ?? []);
      const decoder = tokenizer.getDecoder();
      if (decoder && pieces.length > 0) assert(decoder.decode(pieces).length < 1e6);
    }
  });
}
