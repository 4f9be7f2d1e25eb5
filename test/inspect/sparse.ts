import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { resolveAssistant, resolveTarget } from "../../src/checkpoint/config.js";
import {
  assistantWeights,
  type ExpertsPackaging,
  targetWeights,
} from "../../src/checkpoint/expected-weights.js";
import type { StoredDtype, TensorInfo } from "../../src/checkpoint/types.js";
import type { NativeQuantization } from "../../src/mlx/native.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import {
  assistantConfig,
  block,
  FORMS,
  type Json,
  type ModelName,
  targetConfig,
  tensorsOf,
} from "../checkpoint/real-models.js";

const DTYPES: Partial<Readonly<Record<StoredDtype, string>>> = {
  bfloat16: "BF16",
  uint32: "U32",
  int64: "I64",
};
const FOUR_BIT: NativeQuantization = { bits: 4, groupSize: 64, mode: "affine" };
const [FORM] = FORMS;

/**
 * A published model's folder at its full size: true headers, and weights that are a hole in the file.
 *
 * @param format of a target with experts, `4bit` has them split
 */
export function sparseCheckpoint(
  name: ModelName,
  part: "target" | "assistant",
  format: "bf16" | "4bit",
): string {
  if (!FORM) throw new Error("no form");
  const packed = format === "4bit";
  const how = () => (packed ? FOUR_BIT : undefined);
  const quantization = packed ? { quantization: block(FOUR_BIT) } : {};
  if (part === "assistant") {
    const config = { ...assistantConfig(name, FORM), ...quantization };
    const weights = assistantWeights(resolveAssistant({ file: "config.json", config }));
    return writeSparse(config, tensorsOf(weights, "", how));
  }
  const config = { ...targetConfig(name, FORM), ...quantization };
  const packaging: ExpertsPackaging = packed ? "split" : "stacked";
  const weights = targetWeights(resolveTarget({ file: "config.json", config }), packaging);
  return writeSparse(config, tensorsOf(weights, "model.language_model.", how));
}

function writeSparse(config: Json, tensors: ReadonlyMap<string, TensorInfo>): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  let end = 0;
  const entries = [...tensors].map(([name, { dtype, shape, bytes }]) => {
    const begin = end;
    end += bytes;
    return [name, { dtype: DTYPES[dtype], shape, data_offsets: [begin, end] }];
  });
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(join(folder, "model.safetensors"), "w");
  writeSync(file, Buffer.concat([length, text]));
  ftruncateSync(file, 8 + text.length + end);
  closeSync(file);
  return folder;
}
