#!/usr/bin/env node
// Writes a random checkpoint with the exact tensor names, shapes and dtypes of a real Gemma 4 model at reduced depth, and
// its assistant: real hidden sizes, the real vocabulary, every kind of layer. See docs/real-shapes.md.
//
//   node bench/real-shapes/make.mjs --model E2B|E4B|12B|26B-A4B|31B [--format bf16|4bit] [--seed N]
//                                   [--no-tokenizer] --out DIR
//
// DIR gets target/ and assistant/. The same seed gives the same bytes. Memory is bounded by the tokenizer (some 200 MB).
import { copyFileSync, mkdirSync, readdirSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { describeModel, MODELS } from "./models.mjs";
import { bytesOf, writeCheckpoint } from "./safetensors-writer.mjs";
import { assistantTensors, otherParts, quantized, referenceExperts, targetTensors } from "./tensors.mjs";
import { tokenizerJson } from "./tokenizer.mjs";

export const FORMATS = ["bf16", "4bit"];
const QUANTIZATION = { bits: 4, groupSize: 64 };
const SHARD_BYTES = 5e9;
const EMBEDDED = fileURLToPath(new URL("../../models/tiny-gemma4/target/", import.meta.url));

/** The tensors and the config.json of both parts, in the packaging of `format`: the reference's, or MLX's. */
export function plan(name, format) {
  const model = describeModel(name);
  const mlx = format !== "bf16";
  const text = targetTensors(model.target, { unusedKv: name === "E2B" && !mlx });
  const prefix = mlx ? "language_model.model." : "model.language_model.";
  const packed = mlx ? quantized(text, QUANTIZATION) : { tensors: referenceExperts(text), overrides: {} };
  const assistant = assistantTensors(model.assistant);
  const own = mlx ? quantized(assistant, QUANTIZATION) : { tensors: assistant, overrides: {} };
  return {
    target: {
      tensors: [
        ...packed.tensors.map((tensor) => renamed(tensor, prefix)),
        ...otherParts(model).map((tensor) => renamed(tensor, mlx ? "" : "model.")),
      ],
      config: {
        ...targetConfig(model),
        ...(mlx ? quantizationBlock(packed.overrides, prefix) : {}),
      },
    },
    assistant: {
      tensors: own.tensors,
      config: { ...assistantConfig(model), ...(mlx ? quantizationBlock(own.overrides, "") : {}) },
    },
  };
}

const renamed = (tensor, prefix) => ({ ...tensor, name: prefix + tensor.name });

function targetConfig({ family, hasAudio, target }) {
  const unified = family === "gemma4_unified";
  return {
    architectures: [unified ? "Gemma4UnifiedForConditionalGeneration" : "Gemma4ForConditionalGeneration"],
    model_type: family,
    dtype: "bfloat16",
    text_config: target,
    vision_config: { model_type: unified ? "gemma4_unified_vision" : "gemma4_vision" },
    audio_config: hasAudio ? { model_type: unified ? "gemma4_unified_audio" : "gemma4_audio" } : null,
    boi_token_id: 255_999,
    eoi_token_id: 258_882,
    image_token_id: 258_880,
    audio_token_id: 258_881,
    eos_token_id: [1, 106],
    tie_word_embeddings: true,
    transformers_version: "5.22.2",
  };
}

function assistantConfig({ family, assistant }) {
  return {
    architectures: [family === "gemma4" ? "Gemma4AssistantForCausalLM" : "Gemma4UnifiedAssistantForCausalLM"],
    model_type: `${family}_assistant`,
    dtype: "bfloat16",
    tie_word_embeddings: true,
    transformers_version: "5.22.2",
    ...assistant,
  };
}

/** Twice, as conversions write it. */
function quantizationBlock(overrides, prefix) {
  const modules = Object.entries(overrides).map(([module, value]) => [prefix + module, value]);
  const block = {
    group_size: QUANTIZATION.groupSize,
    bits: QUANTIZATION.bits,
    mode: "affine",
    ...Object.fromEntries(modules),
  };
  return { quantization: block, quantization_config: block };
}

/** Bytes on disk of a model, nearly. */
export function sizeOf(name, format) {
  const { target, assistant } = plan(name, format);
  return [...target.tensors, ...assistant.tensors].reduce((sum, tensor) => sum + bytesOf(tensor), 80e6);
}

/** Writes both folders into `out`, which must be empty or missing. */
export function make(name, format, out, { seed = 1, tokenizer = true } = {}) {
  mkdirSync(out, { recursive: true });
  if (readdirSync(out).length > 0) throw new Error(`${out} is not empty`);
  const need = sizeOf(name, format);
  const { bavail, bsize } = statfsSync(out);
  if (need * 1.05 > bavail * bsize) {
    throw new Error(`${out}: ${gigabytes(need)} needed, ${gigabytes(bavail * bsize)} free`);
  }
  const words = tokenizer ? tokenizerJson(describeModel(name).target.vocab_size, seed) : undefined;
  for (const [part, { tensors, config }] of Object.entries(plan(name, format))) {
    const folder = join(out, part);
    mkdirSync(folder);
    const json = (file, value) => writeFileSync(join(folder, file), `${JSON.stringify(value, null, 2)}\n`);
    json("config.json", config);
    json("generation_config.json", { bos_token_id: 2, eos_token_id: [1, 106], pad_token_id: 0 });
    if (words) writeFileSync(join(folder, "tokenizer.json"), words);
    json("tokenizer_config.json", { bos_token: "<bos>", eos_token: "<eos>", add_bos_token: true });
    if (part === "target")
      copyFileSync(join(EMBEDDED, "chat_template.jinja"), join(folder, "chat_template.jinja"));
    writeCheckpoint(folder, tensors, {
      seed,
      metadata: format === "bf16" ? "pt" : "mlx",
      shardBytes: SHARD_BYTES,
    });
  }
}

export const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(2)} GB`;

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      format: { type: "string", default: "bf16" },
      seed: { type: "string", default: "1" },
      "no-tokenizer": { type: "boolean", default: false },
      out: { type: "string" },
    },
  });
  const known = [...MODELS, "small"];
  if (!known.includes(values.model) || !FORMATS.includes(values.format) || !values.out) {
    process.stderr.write(
      `usage: make.mjs --model ${known.join("|")} [--format ${FORMATS.join("|")}] [--seed N] [--no-tokenizer] --out DIR\n`,
    );
    process.exitCode = 2;
  } else {
    make(values.model, values.format, values.out, {
      seed: Number(values.seed),
      tokenizer: !values["no-tokenizer"],
    });
  }
}
