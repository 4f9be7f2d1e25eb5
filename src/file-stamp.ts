import { type BigIntStats, statSync } from "node:fs";
import { MlxGemmaError } from "./errors.js";

/** What a file is like: another one, and one that was cut, grew or was written to, has another stamp. */
export function stampOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join();
}

/** The stamp of what is at a path now; of nothing: a text that no file has. */
export function stampAt(path: string): string {
  try {
    return stampOf(statSync(path, { bigint: true }));
  } catch {
    return "nothing";
  }
}

/**
 * Holds files to what they were like.
 *
 * @param stamps by path
 * @throws MlxGemmaError `checkpoint` for the first that was cut, grew, was written to, replaced or removed
 */
export function checkUnchanged(stamps: Iterable<readonly [file: string, stamp: string]>): void {
  for (const [file, stamp] of stamps) {
    if (stampAt(file) === stamp) continue;
    throw new MlxGemmaError(
      "checkpoint",
      `${file}: expected a file that stays as it is while it is read, found it changed; wait for what writes it, and start again`,
    );
  }
}
