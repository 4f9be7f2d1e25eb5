import type { DraftTokens, DtypeName } from "../options.js";
import type { Strictness, Warning } from "../warnings.js";
import type { ColourMode } from "./ui/colour-mode.js";

/** Which pair to load, and how. */
export interface PairFlags extends Strictness {
  readonly model?: string;
  readonly revision?: string;
  readonly offline?: true;
  readonly draft: string;
  readonly draftTokens?: DraftTokens;
  readonly dtype?: DtypeName;
  readonly threads: number;
  readonly requireExact?: true;
}

/** How an answer is written. */
export interface DecodingFlags {
  readonly draftTokens?: DraftTokens;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  /** Absent: 0, and auto may choose by measured costs. */
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly chunkSize: number;
}

/** The options of `generate`, as they were parsed. */
export interface Flags extends PairFlags, DecodingFlags {
  readonly system?: string;
  readonly raw?: true;
  readonly promptIds?: readonly number[];
  readonly ignoreEos?: true;
  readonly json?: true;
  readonly trace?: string;
  readonly html?: string;
  readonly stats?: true;
  readonly showDrafts?: true;
  readonly quiet?: true;
  readonly color: ColourMode;
}

/** What decides how an answer is written, out of all options of a command. */
export function decodingOf(flags: DecodingFlags & Strictness) {
  const { draftTokens, maxTokens, temperature, topK, topP, minP, seed, stop = [], chunkSize } = flags;
  const { strict, allow } = flags;
  return { draftTokens, maxTokens, temperature, topK, topP, minP, seed, stop, chunkSize, strict, allow };
}

/**
 * What the options say together that each alone does not.
 *
 * @param given whether an option stands on the command line
 * @param coloured whether stdout takes colours
 * @returns options that were given and do nothing
 */
export function idleOptions(
  flags: PairFlags & DecodingFlags & Pick<Flags, "showDrafts">,
  given: (name: keyof DecodingFlags) => boolean,
  coloured: boolean,
): Warning[] {
  const warnings: Warning[] = [];
  const ignored = (message: string) => warnings.push({ code: "option-ignored", message });
  const drafting = flags.draft !== "none" && flags.draftTokens !== 0;
  if (flags.draft !== "none" && !drafting) {
    warnings.push({
      code: "drafting-off",
      message: "--draft-tokens 0: the assistant is loaded but proposes nothing; this is plain decoding",
    });
  }
  const idle = SAMPLING.filter(([name]) => given(name)).map(([, option]) => option);
  if (flags.temperature === 0 && idle.length > 0) {
    const verb = idle.length > 1 ? "do" : "does";
    ignored(`${idle.join(", ")} ${verb} nothing at temperature 0; give --temperature to sample`);
  }
  if (flags.showDrafts && !drafting) {
    ignored("--show-drafts: there are no drafts to show; give --draft assistant");
  } else if (flags.showDrafts && !coloured) {
    ignored("--show-drafts: stdout takes no colours; give --color always to force them");
  }
  return warnings;
}

const SAMPLING: readonly (readonly [keyof DecodingFlags, string])[] = [
  ["topK", "--top-k"],
  ["topP", "--top-p"],
  ["minP", "--min-p"],
  ["seed", "--seed"],
];
