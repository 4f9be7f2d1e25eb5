import { basename, extname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, oneLine } from "../checkpoint/json.js";
import type { ChatMessage } from "../text/chat-template.js";
import * as z from "../zod.js";
import type { SuiteName } from "./options.js";
import { type FileUse, fileError, readUserFile } from "./read-file.js";

/** What a model is given: a chat to answer, or a text to go on with. */
export type BenchPrompt =
  | { readonly kind: "chat"; readonly messages: readonly ChatMessage[] }
  | { readonly kind: "text"; readonly text: string };

/** Prompts that are measured together. */
export interface Suite {
  readonly name: string;
  readonly prompts: readonly BenchPrompt[];
}

const FILE: FileUse = {
  option: "--prompts",
  expected: "prompts in UTF-8, a JSON value a line",
  maxBytes: 16 * 2 ** 20,
};
const MAX_PROMPTS = 1000;

const filled = z.string().refine((text) => text.trim() !== "");
const turns = z
  .array(z.object({ role: z.enum(["system", "user", "assistant"]), content: filled }))
  .min(1)
  .refine((messages) => messages.at(-1)?.role === "user");
const line = z.union([
  filled.transform((text): BenchPrompt => ({ kind: "chat", messages: [{ role: "user", content: text }] })),
  turns.transform((messages): BenchPrompt => ({ kind: "chat", messages })),
  z.object({ messages: turns }).transform(({ messages }): BenchPrompt => ({ kind: "chat", messages })),
  z.object({ text: filled }).transform(({ text }): BenchPrompt => ({ kind: "text", text })),
]);

/** A suite of the package. */
export function openSuite(name: SuiteName): Suite {
  return readPrompts(fileURLToPath(new URL(`../../suites/${name}.jsonl`, import.meta.url)));
}

/**
 * Reads prompts from a JSONL file, the suite's name being the file's. A line is a string (a chat's one turn), a list of turns
 * `{"role", "content"}`, an object with such a list as `messages`, or one with a `text` to go on with as it is.
 *
 * @throws MlxGemmaError `usage` with the line's number
 */
export function readPrompts(path: string): Suite {
  const lines = readUserFile(path, FILE).split(/\r?\n/);
  const prompts = lines.flatMap((text, index) =>
    text.trim() === "" ? [] : [readLine(text, (message) => fileError(FILE, path, message, index + 1))],
  );
  if (prompts.length === 0 || prompts.length > MAX_PROMPTS) {
    throw fileError(
      FILE,
      path,
      `expected 1 to ${MAX_PROMPTS} prompts, a JSON value a line, found ${prompts.length}`,
    );
  }
  return { name: basename(path, extname(path)), prompts };
}

function readLine(text: string, wrong: (message: string) => Error): BenchPrompt {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(
      `expected a JSON value, found a mistake (${error instanceof Error ? oneLine(error.message) : "broken"})`,
    );
  }
  const { data } = line.safeParse(value);
  if (data) return data;
  throw wrong(
    `expected a string, turns that end with the user's ([{"role": "user", "content": "…"}]), {"messages": turns} or ` +
      `{"text": "…"}, none of them empty, found ${describe(value)}`,
  );
}
