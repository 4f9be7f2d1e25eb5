import { type Command, Option } from "commander";
import { DEFAULTS, type DraftTokens, MAX_DRAFT_TOKENS } from "../options.js";
import { isWarningCode } from "../warnings.js";
import {
  dtypeOption,
  listOption,
  type NumberRange,
  numberFrom,
  numberOption,
  textsOption,
  threadsOption,
} from "./options.js";

/** What the numbers of decoding may be. */
export const RANGES = {
  draftTokens: { low: 0, high: MAX_DRAFT_TOKENS, whole: true },
  maxTokens: { low: 1, whole: true },
  temperature: { low: 0, high: 100 },
  topK: { low: 0, whole: true },
  topP: { low: 0, high: 1, above: true },
  minP: { low: 0, high: 1 },
  seed: { low: 0, high: 2 ** 32 - 1, whole: true },
} as const satisfies Readonly<Record<string, NumberRange>>;

/**
 * Which pair to load, and how: the same for every command that loads one.
 *
 * @param draft who proposes tokens where nobody is named
 */
export function pairOptions(draft: "none" | "assistant" = "none"): Option[] {
  return grouped("Model:", [
    new Option(
      "-m, --model <which>",
      "a Gemma 4 checkpoint: a folder, or org/name[@revision] of the hub (default: the embedded tiny pair)",
    ),
    new Option("--revision <name>", "branch, tag or commit of the model on the hub (default: main)"),
    new Option("--offline", "take what the hub's cache has, download nothing"),
    new Option(
      "--draft <who>",
      "who proposes tokens: assistant (the one that belongs to the model), auto (that one if there is one that fits), none, a folder, or org/name",
    ).default(draft, draft),
    dtypeOption(),
    threadsOption(),
    new Option("--require-exact", "refuse a device on which drafted text may differ from plain text"),
    ...strictOptions(),
  ]);
}

/** What is done about warnings. */
export function strictOptions(): Option[] {
  return [
    new Option("--strict", "a warning is an error"),
    listOption(
      "--allow <code,…>",
      "warnings that are fine: no line, no error (docs/reliability.md lists them)",
      {
        expected: "codes of warnings, such as packed-target,no-chat-template",
        read: (part) => (isWarningCode(part) ? part : undefined),
      },
    ),
  ];
}

/** How an answer is written. */
export function decodingOptions(maxTokens: number): Option[] {
  return grouped("Decoding:", [
    draftTokensOption(),
    numberOption("-n, --max-tokens <N>", "the most tokens to write", RANGES.maxTokens).default(maxTokens),
    numberOption("-t, --temperature <T>", "0: greedy", RANGES.temperature).default(0),
    numberOption("--top-k <k>", "keep the k likeliest tokens; 0: all", RANGES.topK).default(0),
    numberOption("--top-p <p>", "keep the likeliest tokens up to this probability", RANGES.topP).default(1),
    numberOption("--min-p <p>", "drop tokens below this share of the likeliest", RANGES.minP).default(0),
    numberOption(
      "--seed <n>",
      "of sampling: the same seed, the same text (default: 0; without it runs with --draft-tokens auto may differ)",
      RANGES.seed,
    ),
    textsOption("--stop <text>", "end the answer before this text (may be given again)"),
    numberOption("--chunk-size <n>", "prompt tokens of one evaluation", { low: 1, whole: true }).default(
      DEFAULTS.chunkSize,
    ),
  ]);
}

function draftTokensOption(): Option {
  const option = new Option(
    "--draft-tokens <K>",
    `proposals a round: 0 to ${MAX_DRAFT_TOKENS}, or auto: by what rounds bring and cost (default: ${DEFAULTS.draftTokens} with an assistant)`,
  );
  return option.argParser((text: string) => draftTokensFrom(text, "--draft-tokens (or auto)"));
}

/** K or `auto`. @throws MlxGemmaError `usage` that says at `where` what was expected and found */
export function draftTokensFrom(text: string, where: string): DraftTokens {
  return text === "auto" ? text : numberFrom(text, RANGES.draftTokens, where);
}

function grouped(heading: string, options: readonly Option[]): Option[] {
  return options.map((option) => option.helpGroup(heading));
}

export function withOptions<T extends Command>(command: T, options: readonly Option[]): T {
  for (const option of options) command.addOption(option);
  return command;
}
