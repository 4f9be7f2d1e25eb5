import type { ErrorCode } from "../errors.js";
import { wrapWords } from "./ui/wrap.js";

/** Exit codes by what went wrong. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  usage: 2,
  checkpoint: 3,
  pair: 4,
  unsupported: 5,
  context: 6,
  addon: 7,
  native: 8,
  hub: 9,
  disk: 10,
  memory: 12,
  strict: 13,
  disposed: 8,
  aborted: 130,
};

/** For what is no `MlxGemmaError`: a defect of ours, an output that can't be written, a check that failed. */
export const EXIT_OTHER = 1;

/** `bench --compare` found a regression. */
export const EXIT_REGRESSION = 11;

/** `inspect-weights` has found flaws with `--check`, or a difference with `--diff`. */
export const EXIT_FINDINGS = 1;

/** Ended by SIGTERM. */
export const EXIT_TERMINATED = 143;

/** Every exit code, and when it comes. */
export const EXIT_MEANINGS: readonly (readonly [number, string])[] = [
  [0, "done; also when the reader of a pipe has seen enough"],
  [
    EXIT_OTHER,
    "an output that can't be written, a defect of mlx-gemma, a bench whose drafted ids differ, what --check or --diff found, or a failed doctor",
  ],
  [EXIT_CODES.usage, "an option or a prompt that can't be taken; a current folder that is not there"],
  [EXIT_CODES.checkpoint, "a checkpoint that is missing, broken or no Gemma 4"],
  [EXIT_CODES.pair, "target and assistant do not fit"],
  [EXIT_CODES.unsupported, "a checkpoint that this version cannot run yet"],
  [EXIT_CODES.context, "a prompt longer than the model has positions for"],
  [EXIT_CODES.addon, "the native addon is missing, stale or cannot be loaded"],
  [EXIT_CODES.native, "MLX reported an error"],
  [EXIT_CODES.hub, "a repository of the hub can't be had: no network, no access, not there"],
  [EXIT_CODES.disk, "no room or no permission to write what is downloaded or made"],
  [EXIT_REGRESSION, "bench --compare found figures that are lower by more than the tolerance"],
  [EXIT_CODES.memory, "less memory than the weights need"],
  [EXIT_CODES.strict, "--strict, and there is a warning"],
  [EXIT_CODES.aborted, `interrupted with Ctrl-C (${EXIT_TERMINATED}: terminated)`],
];

/** The table for the help, in lines of at most `columns`. */
export function exitHelp(columns: number): string {
  const lines = EXIT_MEANINGS.flatMap(([code, meaning]) =>
    wrapWords(meaning, columns - 7).map(
      (line, index) => `  ${(index === 0 ? String(code) : "").padEnd(3)}  ${line}`,
    ),
  );
  return ["\nExit codes:", ...lines].join("\n");
}
