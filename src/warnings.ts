import { MlxGemmaError } from "./errors.js";

/** Codes of warnings, stable words. `docs/reliability.md` says of each what to do, and which test holds it. */
export const WARNING_CODES = [
  // Of what was loaded.
  /** `draft: "auto"`: there is no assistant, so this is plain decoding. */
  "no-assistant",
  /** `draft: "auto"`: the assistant is there and can't be used, so this is plain decoding. */
  "assistant-refused",
  /** Rows of a block have other bits than single ones: drafted text may differ from plain text. */
  "not-exact",
  /** The target's weights are packed; those that the assistant was trained with were not. */
  "packed-target",
  /** The assistant's centroids are packed, which costs accepted drafts. */
  "packed-centroids",
  /** The assistant was made for another fine-tune than the target. */
  "other-fine-tune",
  /** Target and assistant are of different families. */
  "other-family",
  /** Target and assistant call some free tokens by different names. */
  "renamed-tokens",
  /** A folder has no tokenizer.json: whether both call their ids the same is not known. */
  "tokenizers-not-compared",
  /** config.json has keys that are not known: what they ask for is not done. */
  "config-key",
  /** The folder has no tokenizer: answers are token ids. */
  "no-tokenizer",
  /** The folder has no chat template: Gemma 4's own turns are used. */
  "no-chat-template",
  /** The configs name no end-of-sequence token: only `maxTokens` and stop texts end an answer. */
  "no-end-of-sequence",
  // Of one generation.
  /** The answer ended where the model, or the chat, has no more positions. */
  "context-full",
  /** Fewer tokens than K were proposed, since the context ends. */
  "draft-tokens-cut",
  /** The oldest turns of a chat are left out, since the context is full. */
  "turns-dropped",
  /** `draftTokens: "auto"` hardly drafted, since it does not pay. Never an error. */
  "drafting-does-not-pay",
  // Of the command line.
  /** An assistant is loaded and proposes nothing, since K is 0. */
  "drafting-off",
  /** An option was given that does nothing, or a variable of the environment that is nearly one. */
  "option-ignored",
] as const;

export type WarningCode = (typeof WARNING_CODES)[number];

/** What is told and never refused: `auto` was asked to find it out, and it depends on the clock. */
const FINDINGS: readonly WarningCode[] = ["drafting-does-not-pay"];

/** What makes drafting, or the answer, worse than asked. */
export interface Warning {
  readonly code: WarningCode;
  /** One line: what is so, where, and what to do. */
  readonly message: string;
}

/** What is done about warnings. */
export interface Strictness {
  /** A warning is an error, `strict`, but for `drafting-does-not-pay`. Default false. */
  readonly strict?: boolean | undefined;
  /** Codes that `strict` lets pass. */
  readonly allow?: readonly WarningCode[] | undefined;
}

/** Whether a word is the code of a warning. */
export function isWarningCode(word: string): word is WarningCode {
  return WARNING_CODES.some((code) => code === word);
}

/** A warning as it is shown: the message, then the code to look up, or to allow. */
export function warningText({ code, message }: Warning): string {
  return `${message} [${code}]`;
}

/**
 * Refuses warnings where the caller is strict.
 *
 * @throws MlxGemmaError `strict` with all that are not allowed, in one line
 */
export function refuseWarnings(
  warnings: readonly Warning[],
  { strict = false, allow = [] }: Strictness,
): void {
  const refused = strict ? warnings.filter(({ code }) => ![...allow, ...FINDINGS].includes(code)) : [];
  if (refused.length === 0) return;
  const codes = [...new Set(refused.map(({ code }) => code))].join(",");
  throw new MlxGemmaError(
    "strict",
    `--strict: expected no warning, found ${refused.map(warningText).join("; and ")}; mend it, or give --allow ${codes}`,
  );
}

/** The warnings of one generation, each code once; the first is an error where the caller is strict. */
export class WarningList {
  readonly #warnings: Warning[] = [];

  constructor(private readonly strictness: Strictness) {}

  get all(): readonly Warning[] {
    return this.#warnings;
  }

  /** @throws MlxGemmaError `strict` */
  add(code: WarningCode, message: string): Warning {
    const known = this.#warnings.find((warning) => warning.code === code);
    if (known) return known;
    const warning = { code, message };
    refuseWarnings([warning], this.strictness);
    this.#warnings.push(warning);
    return warning;
  }
}

/** @throws MlxGemmaError `usage` for a code that there is not, which TypeScript can't hold a JavaScript caller to */
export function checkAllowed(allow: readonly string[] = []): void {
  const stranger = allow.find((word) => !isWarningCode(word));
  if (stranger === undefined) return;
  throw new MlxGemmaError(
    "usage",
    `allow: expected codes of warnings (${WARNING_CODES.join(", ")}), found ${JSON.stringify(stranger)}`,
  );
}
