import { readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { MlxGemmaError } from "../errors.js";
import { checkpointError, describe, isObject, quote } from "./json.js";
import { isFile, readJson } from "./plain-file.js";

/** Twice what Gemma 4 has. */
const LIMITS = { maxBytes: 64 * 1024 * 1024, maxDepth: 32, maxParts: 2 ** 21 };
const FILE = "tokenizer.json";
const MAX_ID = 2 ** 24;
const AGAIN = "download tokenizer.json again";

/** Tokens that a vocabulary keeps free: a fine-tune may give them a meaning without harm to the pair. */
const FREE = /^[<[]?\|?unused[_-]?\d+\|?[>\]]?$/i;

/** How two tokenizers differ. */
export interface TokenizerDifference {
  /** The first id that means something else, and both its names; absent: there is none. */
  readonly mismatch?: { readonly id: number; readonly target: string; readonly assistant: string };
  /** Ids before it that only a fine-tune has named: one tokenizer has a free token there. */
  readonly renamed: readonly number[];
  /** Why they were not compared. */
  readonly notCompared?: string;
}

/**
 * Compares what the tokenizers of a target and its assistant call their ids, where both folders have one: drafts are
 * exchanged as ids. Files that are the same are not parsed.
 *
 * @throws MlxGemmaError `checkpoint` for a broken file.
 */
export function tokenizerDifference(targetFolder: string, assistantFolder: string): TokenizerDifference {
  const target = join(targetFolder, FILE);
  const assistant = join(assistantFolder, FILE);
  const without = [targetFolder, assistantFolder].filter((folder) => !isFile(join(folder, FILE)));
  if (without.length > 0) {
    return { renamed: [], notCompared: `no ${FILE} in ${without.join(" and ")}; copy it there` };
  }
  if (sameNames(target, assistant)) return { renamed: [] };
  const [theirs, ours] = [tokensById(target), tokensById(assistant)];
  const ids = [...new Set([...theirs.keys(), ...ours.keys()])].sort((a, b) => a - b);
  const renamed: number[] = [];
  for (const id of ids) {
    const [inTarget, inAssistant] = [theirs.get(id), ours.get(id)];
    if (inTarget === inAssistant) continue;
    if (![inTarget, inAssistant].some((token) => token !== undefined && FREE.test(token))) {
      return { mismatch: { id, target: name(inTarget), assistant: name(inAssistant) }, renamed };
    }
    renamed.push(id);
  }
  return { renamed };
}

/**
 * As {@link tokenizerDifference}.
 *
 * @returns ids that only a fine-tune has named; or why they were not compared
 * @throws MlxGemmaError `pair` with the first id that differs and both its names; `checkpoint` for a broken file.
 */
export function compareTokenizers(targetFolder: string, assistantFolder: string): readonly number[] | string {
  const { mismatch, renamed, notCompared } = tokenizerDifference(targetFolder, assistantFolder);
  if (!mismatch) return notCompared ?? renamed;
  const { id, target, assistant } = mismatch;
  throw new MlxGemmaError(
    "pair",
    `target and assistant do not fit: tokenizers: id ${id} is ${target} in ${join(targetFolder, FILE)} and ${assistant} in ${join(assistantFolder, FILE)}; give the assistant that was made for this target`,
  );
}

function name(token: string | undefined): string {
  return token === undefined ? "no token" : JSON.stringify(token.slice(0, 60));
}

/** Whether two files are seen to be the same without being parsed, which takes a second or two for Gemma's. */
function sameNames(a: string, b: string): boolean {
  if (realpathSync(a) === realpathSync(b)) return true;
  if ([a, b].some((file) => statSync(file).size > LIMITS.maxBytes)) return false;
  try {
    const [ours, theirs] = [readFileSync(a), readFileSync(b)];
    return ours.equals(theirs) || vocabularyBytes(ours).equals(vocabularyBytes(theirs));
  } catch {
    return false; // Reading it as JSON says why.
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The bytes of `model.vocab` and `added_tokens` as they stand in a tokenizer.json, without the white space between
 * them: the same for files that were only written anew. Files whose bytes differ may still say the same.
 */
export function vocabularyBytes(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafe(bytes.length + 2);
  let length = 0;
  let depth = 0;
  let copying = 0; // the depth whose value is being copied; 0: none
  let section = ""; // key at depth 1
  let begin = 0; // of the last string, for keys
  let end = 0;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i] ?? 0;
    const start = i;
    if (c === QUOTE) {
      for (i++; i < bytes.length && bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++;
      begin = start + 1;
      end = i;
    } else if (c === 0x7b || c === 0x5b) {
      depth++;
    } else if (c === 0x7d || c === 0x5d) {
      depth--;
      if (depth < copying) copying = 0;
    } else if (c === 0x2c && depth === copying) {
      copying = 0;
    } else if (c === 0x3a && copying === 0 && depth <= 2) {
      const key = bytes.toString("utf8", begin, Math.min(end, begin + 16));
      if (depth === 1) section = key;
      const wanted = depth === 1 ? key === "added_tokens" : section === "model" && key === "vocab";
      if (wanted) {
        copying = depth;
        copy[length++] = depth;
      }
      continue;
    } else if (c <= 0x20) {
      continue;
    }
    // Byte by byte: a call for each of half a million short strings takes longer.
    if (copying > 0) for (let j = start; j <= i && j < bytes.length; j++) copy[length++] = bytes[j] ?? 0;
  }
  return copy.subarray(0, length);
}

/** Every token by its id: the model's vocabulary, and the added tokens over it. */
function tokensById(file: string): Map<number, string> {
  const json = readJson(file, LIMITS);
  const model = isObject(json) ? json.model : undefined;
  if (!isObject(json) || !isObject(model)) {
    throw checkpointError(file, `model: expected an object, found ${describe(model)}; ${AGAIN}`);
  }
  const tokens = new Map<number, string>();
  const add = (id: unknown, token: unknown, where: string) => {
    if (typeof token !== "string" || !isId(id)) {
      throw checkpointError(
        file,
        `${where}: expected a text and an id from 0 to ${MAX_ID}, found ${describe(token)} and ${describe(id)}; ${AGAIN}`,
      );
    }
    tokens.set(id, token);
  };
  const { vocab } = model;
  if (Array.isArray(vocab)) {
    for (const [id, entry] of vocab.entries())
      add(id, Array.isArray(entry) ? entry[0] : entry, "model.vocab");
  } else if (isObject(vocab)) {
    for (const [token, id] of Object.entries(vocab)) add(id, token, `model.vocab.${quote(token)}`);
  } else {
    throw checkpointError(
      file,
      `model.vocab: expected an object or a list, found ${describe(vocab)}; ${AGAIN}`,
    );
  }
  const added = json.added_tokens ?? [];
  if (!Array.isArray(added)) {
    throw checkpointError(file, `added_tokens: expected a list, found ${describe(added)}; ${AGAIN}`);
  }
  for (const token of added) {
    const { id, content } = isObject(token) ? token : {};
    add(id, content, "added_tokens");
  }
  return tokens;
}

function isId(id: unknown): id is number {
  return Number.isInteger(id) && Number(id) >= 0 && Number(id) <= MAX_ID;
}
