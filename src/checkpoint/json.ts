import { readFileSync, type Stats, statSync } from "node:fs";
import { MlxGemmaError } from "../errors.js";

/** Bounds for a JSON file that comes from someone else. */
export interface JsonLimits {
  /** Default 16 MiB. */
  readonly maxBytes?: number;
  /** Nesting of objects and lists. Default 64. */
  readonly maxDepth?: number;
}

const MAX_BYTES = 16 * 1024 * 1024;
const MAX_DEPTH = 64;

/** An error about a file of a checkpoint, as one line. */
export function checkpointError(where: string, message: string, options?: ErrorOptions): MlxGemmaError {
  return new MlxGemmaError("checkpoint", `${where}: ${message}`, options);
}

/** A name or path out of a file, safe to print: one line, at most 80 characters. */
export function quote(name: string): string {
  const text = name.length > 80 ? `${name.slice(0, 77)}...` : name;
  return /^[\w./+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** What a JSON value is, in a few words, for "found …". */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "string" && value.length > 60) return `${JSON.stringify(value.slice(0, 57))}...`;
  return JSON.stringify(value) ?? typeof value;
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Stats of a plain file, links followed.
 *
 * @throws MlxGemmaError `checkpoint` when there is none; `hint` says what to do.
 */
export function statFile(path: string, hint: string): Stats {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    throw checkpointError(path, `expected a file, found ${reason(error)}; ${hint}`);
  }
  if (!stats.isFile()) {
    throw checkpointError(
      path,
      `expected a file, found ${stats.isDirectory() ? "a folder" : "no plain file"}; ${hint}`,
    );
  }
  return stats;
}

/** Whether a path is a plain file, links followed. */
export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Why a file could not be read, in a few words. */
export function reason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT" || code === "ENOTDIR") return "nothing there";
  if (code === "EACCES" || code === "EPERM") return "no permission to read it";
  return error instanceof Error ? oneLine(error.message) : "an error";
}

/** A message of someone else, as one line. */
export function oneLine(message: string): string {
  return message.replace(/\s+/g, " ").slice(0, 200);
}

/**
 * Reads a JSON file.
 *
 * @throws MlxGemmaError `checkpoint` when it is missing, too large, too deep, or no JSON.
 */
export function readJson(path: string, limits: JsonLimits = {}): unknown {
  return parseJson(readText(path, limits), path, limits);
}

/** Reads a text file of bounded size; errors as in {@link readJson}. */
export function readText(path: string, limits: JsonLimits = {}): string {
  const maxBytes = limits.maxBytes ?? MAX_BYTES;
  const { size } = statFile(path, "download the checkpoint again");
  if (size > maxBytes) {
    throw checkpointError(path, `expected at most ${maxBytes} bytes, found ${size}; is this the right file?`);
  }
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw checkpointError(path, `expected a readable file, found ${reason(error)}; check its permissions`);
  }
}

/**
 * Parses JSON; refuses what is nested too deep, and a name that an object holds twice (`JSON.parse` keeps the last
 * without a word, other readers the first).
 *
 * @throws MlxGemmaError `checkpoint`, with `where` in front.
 */
export function parseJson(text: string, where: string, limits: JsonLimits = {}): unknown {
  const flaw = scanJson(text, limits.maxDepth ?? MAX_DEPTH);
  if (flaw !== undefined) throw checkpointError(where, `${flaw}; download the checkpoint again`);
  try {
    return JSON.parse(text.startsWith("\ufeff") ? text.slice(1) : text);
  } catch (error) {
    const found = error instanceof Error ? oneLine(error.message) : "an error";
    throw checkpointError(where, `expected JSON, found a mistake (${found}); download the checkpoint again`);
  }
}

/** Looks for excessive depth and duplicate names, without recursion; says nothing of other mistakes. */
function scanJson(text: string, maxDepth: number): string | undefined {
  const names: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x7b || c === 0x5b) {
      if (names.length >= maxDepth) return `expected at most ${maxDepth} levels of nesting, found more`;
      names.push(c === 0x7b ? new Set() : undefined);
    } else if (c === 0x7d || c === 0x5d) {
      names.pop();
    } else if (c === 0x22) {
      const start = i;
      for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) {
        if (text.charCodeAt(i) === 0x5c) i++;
      }
      const seen = names.at(-1);
      if (!seen || !colonFollows(text, i + 1)) continue;
      const name = unescaped(text.slice(start, i + 1));
      if (seen.has(name)) return `the name ${quote(name)} stands twice in one object`;
      seen.add(name);
    }
  }
  return undefined;
}

function colonFollows(text: string, from: number): boolean {
  let i = from;
  while (i < text.length && /\s/.test(text.charAt(i))) i++;
  return text.charCodeAt(i) === 0x3a;
}

function unescaped(literal: string): string {
  if (!literal.includes("\\")) return literal.slice(1, -1);
  try {
    return String(JSON.parse(literal));
  } catch {
    return literal;
  }
}
