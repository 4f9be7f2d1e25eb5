import { readFileSync, statSync } from "node:fs";
import { describe, oneLine, quote } from "../checkpoint/json.js";
import { reason } from "../checkpoint/plain-file.js";
import { MlxGemmaError } from "../errors.js";
import type * as z from "../zod.js";

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

/**
 * Reads a JSON file that the user named.
 *
 * @throws MlxGemmaError `usage` as {@link readUserFile}, and when it holds no JSON
 */
export function readUserJson(path: string, use: FileUse): unknown {
  const text = readUserFile(path, use);
  try {
    return JSON.parse(text);
  } catch (error) {
    const found = error instanceof Error ? oneLine(error.message) : "broken";
    throw fileError(use, path, `expected ${use.expected}, found no JSON (${found})`);
  }
}

/**
 * What a file holds, if it is what this version writes.
 *
 * @throws MlxGemmaError `usage` with the first thing that is not
 */
export function checkSaved<T>(schema: z.ZodType<T>, value: unknown, path: string, use: FileUse): T {
  const { data, error } = schema.safeParse(value);
  if (data !== undefined) return data;
  const [issue] = error?.issues ?? [];
  const where = issue && issue.path.length > 0 ? ` at ${issue.path.join(".")}` : "";
  const why = `${oneLine(issue?.message ?? "")}${where}`;
  throw fileError(use, path, `expected ${use.expected} in this version, found ${describe(value)} (${why})`);
}
