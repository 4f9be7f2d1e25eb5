import type { ConversationOptions } from "./chat/conversation.js";
import { describe, isObject, quote } from "./checkpoint/json.js";
import { MlxGemmaError } from "./errors.js";
import { nearest } from "./nearest.js";
import type { EncodeChatOptions, EncodeOptions, GenerateOptions, LoadOptions } from "./options.js";
import type { ChatMessage } from "./text/chat-template.js";

/** What an option may be, in words and as a check. */
type Kind = readonly [expected: string, fits: (value: unknown) => boolean, required?: true];

/** A kind for each option there is. */
type Kinds<T> = Readonly<Record<keyof T, Kind>>;

const isText = (value: unknown) => typeof value === "string";
const text: Kind = ["a text", isText];
const texts: Kind = ["a list of texts", (value) => Array.isArray(value) && value.every(isText)];
const flag: Kind = ["true or false", (value) => typeof value === "boolean"];
const number: Kind = ["a number", (value) => typeof value === "number"];
const numberOrAuto: Kind = ["a number or auto", (value) => typeof value === "number" || value === "auto"];
const callback: Kind = ["a function", (value) => typeof value === "function"];
const signal: Kind = ["an AbortSignal", (value) => isObject(value) && "aborted" in value];
const cache: Kind = ["a PromptCache", (value) => isObject(value) && "lease" in value];
const ids: Kind = [
  "a list of token ids",
  (value) => Array.isArray(value) || (ArrayBuffer.isView(value) && "find" in value),
  true,
];

const strictness = { strict: flag, allow: texts };

/** By whom they are taken. Ranges are checked where they are known. */
const OPTIONS = {
  load: {
    ...strictness,
    model: text,
    draft: text,
    revision: text,
    offline: flag,
    onDownload: callback,
    dtype: text,
    threads: number,
    requireExact: flag,
    signal,
  } satisfies Kinds<LoadOptions>,
  encodePrompt: { raw: flag, system: text } satisfies Kinds<EncodeOptions>,
  encodeChat: { thinking: flag } satisfies Kinds<EncodeChatOptions>,
  generate: {
    ...strictness,
    promptIds: ids,
    draftTokens: numberOrAuto,
    maxTokens: number,
    temperature: number,
    topK: number,
    topP: number,
    minP: number,
    seed: number,
    stop: texts,
    ignoreEos: flag,
    specialTokens: flag,
    chunkSize: number,
    trace: flag,
    signal,
    cache,
  } satisfies Kinds<GenerateOptions>,
  Conversation: { system: text, thinking: flag, contextTokens: number } satisfies Kinds<ConversationOptions>,
};

/**
 * Refuses what TypeScript can't hold a JavaScript caller to: options that there are not, and values of another type.
 *
 * @throws MlxGemmaError `usage` with the first of them
 */
export function checkOptions(of: keyof typeof OPTIONS, options: unknown): void {
  if (!isObject(options)) throw wrong(`${of}: expected an object with options`, options);
  const kinds = new Map<string, Kind>(Object.entries(OPTIONS[of]));
  const stranger = Object.keys(options).find((name) => !kinds.has(name));
  if (stranger !== undefined) {
    const names = [...kinds.keys()];
    throw new MlxGemmaError(
      "usage",
      `${of}: expected options that there are, found ${quote(stranger)}; ${nearest(stranger, names) ?? `there are ${names.join(", ")}`}`,
    );
  }
  for (const [name, [expected, fits, required = false]] of kinds) {
    const value = options[name];
    if ((required || value !== undefined) && !fits(value)) {
      throw wrong(`${of}: ${name}: expected ${expected}`, value);
    }
  }
}

/** @throws MlxGemmaError `usage` for what is no text */
export function checkPrompt(prompt: unknown): void {
  if (!isText(prompt)) throw wrong("encodePrompt: expected a text", prompt);
}

/** @throws MlxGemmaError `usage` for what are no messages */
export function checkMessages(messages: readonly ChatMessage[]): void {
  const list: unknown = messages;
  const fits = (message: unknown) => isObject(message) && isText(message.role) && isText(message.content);
  if (!Array.isArray(list)) throw wrong("expected a list of messages", list);
  const place = list.findIndex((message) => !fits(message));
  if (place >= 0) throw wrong(`message ${place}: expected a role and a content, both texts`, list[place]);
}

function wrong(expected: string, value: unknown): MlxGemmaError {
  return new MlxGemmaError("usage", `${expected}, found ${describe(value)}`);
}
