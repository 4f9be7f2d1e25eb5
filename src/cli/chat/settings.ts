import type { AnswerOptions } from "../../chat/conversation.js";
import type { DraftTokens } from "../../options.js";
import type { Strictness } from "../../warnings.js";
import type { ChatFlags } from "../commands/chat.js";
import { decodingOf } from "../flags.js";

/** What the commands of a chat change: numbers of decoding, and what is shown. */
export interface Settings extends Strictness {
  draftTokens: DraftTokens | undefined;
  maxTokens: number;
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  /** Undefined: 0, and auto may choose by measured costs. */
  seed: number | undefined;
  readonly stop: readonly string[];
  readonly chunkSize: number;
  /** What is shown beside the answer. */
  readonly shown: { drafts: boolean; thoughts: boolean };
}

export function settingsOf(flags: ChatFlags): Settings {
  const shown = { drafts: flags.showDrafts === true, thoughts: !flags.hideThoughts && !flags.quiet };
  return { ...decodingOf(flags), shown };
}

/** @param again how often the message was answered already: each sampled answer has a seed of its own */
export function answerOptions({ shown: _, ...settings }: Settings, again = 0): AnswerOptions {
  const { seed } = settings;
  if (seed === undefined && again === 0) return settings;
  return { ...settings, seed: ((seed ?? 0) + again) % 2 ** 32 };
}
