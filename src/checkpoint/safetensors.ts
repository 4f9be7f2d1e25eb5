import { withPlainFile } from "./plain-file.js";
import { AGAIN, headerLength, PREFIX, parseHeader } from "./safetensors-header.js";
import type { TensorInfo } from "./types.js";

/**
 * Reads and checks the header of one safetensors file, as {@link parseHeader}.
 *
 * @throws MlxGemmaError `checkpoint` naming the file, the tensor, what was expected and what was found.
 */
export function readSafetensorsHeader(file: string): Map<string, TensorInfo> {
  return withPlainFile(file, AGAIN, ({ size, stamp, read }) => {
    const place = { file, size, stamp };
    const length = headerLength(read(0, Math.min(PREFIX, size)), place);
    return parseHeader(read(PREFIX, length), place);
  });
}
