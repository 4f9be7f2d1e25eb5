import { cpSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { bytesOf, tensorsOf } from "../quantize/helpers.js";
import { type StoredTensor, writeSafetensors } from "./tensors.js";

/** A copy of a target in bf16 that says `b` wherever it would say `a`, and takes it so: their rows of all tables are swapped. */
export function withSwappedTokens(
  folder: string,
  swaps: readonly (readonly [a: number, b: number])[],
): string {
  const copy = temporaryFolder();
  cpSync(folder, copy, { recursive: true });
  const tensors = new Map<string, StoredTensor>();
  for (const [name, info] of tensorsOf(folder)) {
    const bytes = bytesOf(info);
    if (/\bembed_tokens(_per_layer)?\.weight$/.test(name)) {
      const rowBytes = bytes.length / (info.shape[0] ?? 1);
      const row = (id: number) => bytes.subarray(id * rowBytes, (id + 1) * rowBytes);
      for (const [a, b] of swaps) {
        const before = Uint8Array.from(row(a));
        row(a).set(row(b));
        row(b).set(before);
      }
    }
    tensors.set(name, { dtype: "BF16", shape: info.shape, bytes });
  }
  writeSafetensors(join(copy, "model.safetensors"), tensors);
  return copy;
}
