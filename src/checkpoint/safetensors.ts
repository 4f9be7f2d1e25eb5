import { closeSync, openSync, readSync } from "node:fs";
import { checkpointError, reason, statFile } from "./json.js";
import { AGAIN, headerLength, PREFIX, parseHeader } from "./safetensors-header.js";
import type { TensorInfo } from "./types.js";

/**
 * Reads and checks the header of one safetensors file, as {@link parseHeader}.
 *
 * @throws MlxGemmaError `checkpoint` naming the file, the tensor, what was expected and what was found.
 */
export function readSafetensorsHeader(file: string): Map<string, TensorInfo> {
  const { size } = statFile(file, AGAIN);
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    throw checkpointError(file, `expected a readable file, found ${reason(error)}; check its permissions`);
  }
  try {
    const place = { file, size };
    const length = headerLength(readBytes(file, descriptor, 0, Math.min(PREFIX, size)), place);
    return parseHeader(readBytes(file, descriptor, PREFIX, length), place);
  } finally {
    closeSync(descriptor);
  }
}

function readBytes(file: string, descriptor: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const read = readSync(descriptor, buffer, done, length - done, position + done);
    if (read === 0)
      throw checkpointError(file, `expected ${position + length} bytes, found ${position + done}; ${AGAIN}`);
    done += read;
  }
  return buffer;
}
