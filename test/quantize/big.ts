import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { resolveTarget } from "../../src/checkpoint/config.js";
import { targetWeights } from "../../src/checkpoint/expected-weights.js";
import { safetensors, temporaryFolder, writeJson } from "../checkpoint/helpers.js";

/** Rows of the embedding: 805 MB in bf16, in one tensor. */
const VOCABULARY = 2 ** 20;
const HIDDEN = 384;
export const EMBEDDING_BYTES = VOCABULARY * HIDDEN * 2;

/** A target of one layer whose embedding is large; its values are zeros that take no room on the disk. */
export function bigTarget(): string {
  const folder = temporaryFolder();
  const config = {
    model_type: "gemma4_text",
    vocab_size: VOCABULARY,
    hidden_size: HIDDEN,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    num_key_value_heads: 1,
    head_dim: 64,
    global_head_dim: 64,
    hidden_size_per_layer_input: 0,
    dtype: "bfloat16",
  };
  const file = writeJson(folder, "config.json", config);
  const tensors = Object.fromEntries(
    targetWeights(resolveTarget({ file, config })).map(({ name, shape }) => [
      `model.${name}`,
      { dtype: "BF16", shape },
    ]),
  );
  let end = 0;
  const entries = Object.entries(tensors).map(([name, { dtype, shape }]) => {
    const begin = end;
    end += shape.reduce((product, n) => product * n, 2);
    return [name, { dtype, shape, data_offsets: [begin, end] }];
  });
  const head = safetensors({}, JSON.stringify(Object.fromEntries(entries)));
  const descriptor = openSync(join(folder, "model.safetensors"), "w");
  writeSync(descriptor, head);
  ftruncateSync(descriptor, head.length + end);
  closeSync(descriptor);
  return folder;
}
