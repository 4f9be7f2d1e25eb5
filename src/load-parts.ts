import { statSync } from "node:fs";
import { join } from "node:path";
import { isFile } from "./checkpoint/plain-file.js";
import type { AssistantCheckpoint, FloatDtype, TargetCheckpoint } from "./checkpoint/types.js";
import type { Drafter } from "./drafter/drafter.js";
import { Gemma4Assistant } from "./drafter/gemma4-assistant.js";
import { addon } from "./mlx/addon.js";
import { Gemma4Target } from "./target/gemma4-target.js";
import { type ChatTemplate, openChatTemplate } from "./text/chat-template.js";
import { openTokenizer, type Tokenizer } from "./text/tokenizer.js";

/** Bytes of memory that parsing a tokenizer.json takes for each of its own (400 MB for Gemma 4's 32), and then some. */
const TOKENIZER_MEMORY = 16;

/** What a folder has to make ids of text; nothing of it where there is no tokenizer.json. */
export interface TextParts {
  readonly tokenizer?: Tokenizer;
  readonly template?: ChatTemplate;
}

export interface PairParts extends TextParts {
  readonly target: Gemma4Target;
  readonly drafter: Drafter | undefined;
}

/**
 * Loads the parts of a checked pair, all at once: weights are read on other threads while this one parses the tokenizer,
 * which takes as long as some gigabytes of them. Where one part fails the others are stopped and given back.
 *
 * @param options.spare bytes of memory that are left beside the weights: with too little the tokenizer comes first
 * @throws MlxGemmaError what the first part that failed says
 */
export async function loadParts(
  checkpoint: TargetCheckpoint,
  assistant: AssistantCheckpoint | undefined,
  options: {
    readonly dtype?: FloatDtype | undefined;
    readonly signal?: AbortSignal | undefined;
    readonly spare: number;
    /** Called when text can be read; what it throws ends the loading. */
    readonly onText?: (text: TextParts) => void;
  },
): Promise<PairParts> {
  const { dtype, signal, spare } = options;
  const openText = async () => {
    const text = await textOf(checkpoint.folder);
    options.onText?.(text);
    return text;
  };
  addon().clearCache(); // What earlier pairs have left must not stand beside this one's weights.
  const early = spare > tokenizerMemory(checkpoint.folder) ? undefined : await openText();
  const stop = new AbortController();
  const how = {
    ...(dtype ? { dtype } : {}),
    signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
  };
  let failure: { readonly error: unknown } | undefined;
  const stopping = (error: unknown): never => {
    failure ??= { error };
    stop.abort();
    throw error;
  };
  const [target, drafter, text] = await Promise.allSettled([
    Gemma4Target.load(checkpoint, how).catch(stopping),
    assistant && Gemma4Assistant.load(assistant, how).catch(stopping),
    early ?? openText().catch(stopping),
  ]);
  if (target.status === "fulfilled" && drafter.status === "fulfilled" && text.status === "fulfilled") {
    return { target: target.value, drafter: drafter.value, ...text.value };
  }
  for (const part of [target, drafter]) if (part.status === "fulfilled") part.value?.[Symbol.dispose]();
  throw failure?.error;
}

async function textOf(folder: string): Promise<TextParts> {
  const tokenizer = await openTokenizer(folder);
  // What parsing has left in the heap must not stand beside the weights.
  addon().clearCache();
  return tokenizer ? { tokenizer, template: openChatTemplate(folder) } : {};
}

function tokenizerMemory(folder: string): number {
  const file = join(folder, "tokenizer.json");
  return isFile(file) ? statSync(file).size * TOKENIZER_MEMORY : 0;
}
