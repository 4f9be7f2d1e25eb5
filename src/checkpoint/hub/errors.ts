import { MlxGemmaError } from "../../errors.js";

/** An error about a repository of the hub, as one line. */
export function hubError(where: string, message: string, options?: ErrorOptions): MlxGemmaError {
  return new MlxGemmaError("hub", `${where}: ${message}`, options);
}

/** A text that a server chose, safe to print: one line, no control characters, at most 160 characters. */
export function printable(text: string): string {
  const line = text.replace(/[\p{C}\s]+/gu, " ").trim();
  return line.length > 160 ? `${line.slice(0, 157)}...` : line;
}

/** The system's name of an error (`ENOENT`), of its cause if it has none itself; "" for others. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  return error.cause === undefined ? "" : errorCode(error.cause);
}

/**
 * An error of writing into the cache as one of ours; others come back as they are.
 *
 * @param path what could not be written
 */
export function diskError(error: unknown, path: string): unknown {
  const code = errorCode(error);
  const options = { cause: error };
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new MlxGemmaError(
      "disk",
      `${path}: expected room for the download, found the disk full; free some, or set HF_HOME to a larger disk, and run again: it goes on where it stopped`,
      options,
    );
  }
  if (code === "EFBIG") {
    return new MlxGemmaError(
      "disk",
      `${path}: expected room for the download, found a file that may not grow further (ulimit -f); raise that limit, and run again: it goes on where it stopped`,
      options,
    );
  }
  if (["EACCES", "EPERM", "EROFS"].includes(code)) {
    return new MlxGemmaError(
      "disk",
      `${path}: expected a folder to write into, found no permission (${code}); set HF_HOME to a folder of yours`,
      options,
    );
  }
  if (/^E[A-Z0-9]+$/.test(code)) {
    return new MlxGemmaError(
      "disk",
      `${path}: expected a folder to write into, found that it can't be (${code}); check the disk, or set HF_HOME to another folder`,
      options,
    );
  }
  return error;
}
