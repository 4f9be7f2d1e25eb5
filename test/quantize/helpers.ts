import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.js";
import type { TensorInfo } from "../../src/checkpoint/types.js";
import type { QuantizeOptions } from "../../src/quantize/options.js";
import { type QuantizeParts, type QuantizeResult, quantize } from "../../src/quantize/quantize.js";
import { temporaryFolder } from "../checkpoint/helpers.js";

export const PAIR = join(import.meta.dirname, "../../models/tiny-gemma4");
export const GOLDEN = join(import.meta.dirname, "../golden");

/** Quantizes into a new folder. */
export async function quantized(
  options: Omit<QuantizeOptions, "output"> = {},
  parts: QuantizeParts = {},
): Promise<QuantizeResult> {
  return await quantize({ ...options, output: join(temporaryFolder(), "out") }, () => {}, parts);
}

/** All tensors of a folder's files, by name. */
export function tensorsOf(folder: string): Map<string, TensorInfo> {
  const files = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
  return new Map(files.flatMap((name) => [...readSafetensorsHeader(join(folder, name))]));
}

/** A tensor's bytes. */
export function bytesOf({ file, offset, bytes }: TensorInfo): Buffer {
  const read = Buffer.alloc(bytes);
  const descriptor = openSync(file, "r");
  try {
    readSync(descriptor, read, 0, bytes, offset);
  } finally {
    closeSync(descriptor);
  }
  return read;
}

export function jsonOf(folder: string, name = "config.json"): Record<string, unknown> {
  return JSON.parse(readFileSync(join(folder, name), "utf8"));
}
