import { MlxGemmaError } from "../errors.js";

/** Bounds for a JSON text that comes from someone else. */
export interface JsonLimits {
  /** Of the file, where it is one. Default 16 MiB. */
  readonly maxBytes?: number;
  /** Nesting of objects and lists. Default 64. */
  readonly maxDepth?: number;
  /** Names, objects and lists, all together. Default 200,000: what takes a reader of them half a second. */
  readonly maxParts?: number;
}

const MAX_DEPTH = 64;
const MAX_PARTS = 200_000;

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

/** A message of someone else, as one line. */
export function oneLine(message: string): string {
  return message.replace(/\s+/g, " ").slice(0, 200);
}

/**
 * Parses JSON; refuses what is nested too deep, has too many parts, and a name that an object holds twice (`JSON.parse`
 * keeps the last without a word, other readers the first).
 *
 * @throws MlxGemmaError `checkpoint`, with `where` in front.
 */
export function parseJson(text: string, where: string, limits: JsonLimits = {}): unknown {
  const flaw = scanJson(text, limits.maxDepth ?? MAX_DEPTH, limits.maxParts ?? MAX_PARTS);
  if (flaw !== undefined) throw checkpointError(where, `${flaw}; download the checkpoint again`);
  try {
    return JSON.parse(text.startsWith("\ufeff") ? text.slice(1) : text);
  } catch (error) {
    const found = error instanceof Error ? oneLine(error.message) : "an error";
    throw checkpointError(where, `expected JSON, found a mistake (${found}); download the checkpoint again`);
  }
}

/** Looks for excessive depth too many parts and names that are twice there, without recursion; says nothing of other mistakes. */
function scanJson(text: string, maxDepth: number, maxParts: number): string | undefined {
  let count = 0;
  const names: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x7b || c === 0x5b) {
      if (names.length >= maxDepth) return `expected at most ${maxDepth} levels of nesting, found more`;
      if (++count > maxParts) return tooMany(maxParts);
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
      if (++count > maxParts) return tooMany(maxParts);
      const name = unescaped(text.slice(start, i + 1));
      if (seen.has(name)) return `the name ${quote(name)} stands twice in one object`;
      seen.add(name);
    }
  }
  return undefined;
}

function tooMany(maxParts: number): string {
  return `expected at most ${maxParts} names, objects and lists in it, found more`;
}

function colonFollows(text: string, from: number): boolean {
  let i = from;
  for (; ; i++) {
    const c = text.charCodeAt(i);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return c === 0x3a;
  }
}

/** What a string of JSON stands for, its quotes included; broken ones stand for themselves. */
export function unescaped(literal: string): string {
  if (!literal.includes("\\")) return literal.slice(1, -1);
  try {
    return String(JSON.parse(literal));
  } catch {
    return literal;
  }
}
