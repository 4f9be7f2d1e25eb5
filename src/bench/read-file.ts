import { readFileSync, statSync } from "node:fs";
import { quote, reason } from "../checkpoint/json.js";
import { MlxGemmaError } from "../errors.js";

/** What a file that the user named is for: the words that begin a message about it, and what it has to be. */
export interface FileUse {
  readonly option: string;
  readonly expected: string;
  readonly maxBytes: number;
}

/** An error about a user's file, as one line. @param line of the file, from 1 */
export function fileError({ option }: FileUse, path: string, message: string, line?: number): MlxGemmaError {
  const where = line === undefined ? quote(path) : `${quote(path)}, line ${line}`;
  return new MlxGemmaError("usage", `${option} ${where}: ${message}`);
}

/**
 * Reads a text file that the user named.
 *
 * @throws MlxGemmaError `usage` when it is no plain file, too large, or not in UTF-8
 */
export function readUserFile(path: string, use: FileUse): string {
  const wrong = (found: string) => fileError(use, path, `expected ${use.expected}, found ${found}`);
  let bytes: Buffer;
  try {
    const stats = statSync(path);
    if (!stats.isFile()) throw wrong(stats.isDirectory() ? "a folder" : "no plain file");
    if (stats.size > use.maxBytes) throw wrong(`${stats.size} bytes, more than ${use.maxBytes}`);
    bytes = readFileSync(path);
  } catch (error) {
    throw error instanceof MlxGemmaError ? error : wrong(reason(error));
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw wrong("other bytes than UTF-8");
  }
}
