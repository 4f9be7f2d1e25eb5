import { statSync } from "node:fs";
import { MlxGemmaError } from "../errors.js";

/**
 * Remembers what files are like.
 *
 * @returns throws when one of them is no longer what it was
 */
export function watchFiles(files: Iterable<string>): () => void {
  const before = [...files].map((file) => [file, stampOf(file)] as const);
  return () => {
    for (const [file, stamp] of before) if (stampOf(file) !== stamp) throw changed(file);
  };
}

/** The error for a file that was cut, grew or was replaced between its check and the end of reading it. */
export function changed(file: string): MlxGemmaError {
  return new MlxGemmaError(
    "checkpoint",
    `${file}: expected a file that stays as it is while it is read, found it changed; wait for what writes it, and start again`,
  );
}

function stampOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs } = statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs].join();
  } catch {
    return "nothing";
  }
}
