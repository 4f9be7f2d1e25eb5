import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { bytesOf, tensorsOf } from "../quantize/helpers.js";
import { type StoredTensor, writeSafetensors } from "./tensors.js";

/**
 * A copy of a target in which layer 0 has its MLP's inner values in reverse order: rows of `gate_proj` and `up_proj`,
 * columns of `down_proj`. The same function of real numbers; but `down_proj` adds up its products in another order.
 */
export function withReversedMlp(folder: string): string {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, info] of tensorsOf(folder)) {
    const bytes = bytesOf(info);
    const [rows = 1] = info.shape;
    const rowBytes = bytes.length / rows;
    if (/\blayers\.0\.mlp\.(gate|up)_proj\.weight$/.test(name)) reverse(bytes, rowBytes);
    if (/\blayers\.0\.mlp\.down_proj\.weight$/.test(name)) {
      const elementBytes = rowBytes / (info.shape[1] ?? 1);
      for (let row = 0; row < rows; row++)
        reverse(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), elementBytes);
    }
    tensors.set(name, { dtype: info.dtype === "float32" ? "F32" : "BF16", shape: info.shape, bytes });
  }
  const copy = temporaryFolder();
  copyFileSync(join(folder, "config.json"), join(copy, "config.json"));
  writeSafetensors(join(copy, "model.safetensors"), tensors);
  return copy;
}

/** Reverses the order of units of `size` bytes, in place. */
function reverse(bytes: Uint8Array, size: number): void {
  const before = Uint8Array.from(bytes);
  for (let at = 0; at < bytes.length; at += size) {
    bytes.set(before.subarray(at, at + size), bytes.length - at - size);
  }
}
