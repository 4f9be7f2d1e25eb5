import { MlxGemmaError } from "../errors.js";
import { stampAt } from "../file-stamp.js";

/**
 * Holds files to what they were like.
 *
 * @param stamps by path
 * @throws MlxGemmaError `checkpoint` for the first that was cut, grew, was written to, replaced or removed
 */
export function checkUnchanged(stamps: ReadonlyMap<string, string>): void {
  for (const [file, stamp] of stamps) {
    if (stampAt(file) === stamp) continue;
    throw new MlxGemmaError(
      "checkpoint",
      `${file}: expected a file that stays as it is while it is read, found it changed; wait for what writes it, and start again`,
    );
  }
}
