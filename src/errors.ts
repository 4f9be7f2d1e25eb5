/**
 * What went wrong, as a stable word. The command line maps each to an exit code (see `cli/exit-codes.ts`).
 *
 * - `usage`: an option or prompt that can't be taken
 * - `checkpoint`: a folder or file that is missing, broken or not a Gemma 4 checkpoint
 * - `pair`: target and assistant that do not fit
 * - `unsupported`: a real checkpoint that this version cannot run yet
 * - `hub`: a repository of the hub that can't be had: no network, no access, not there, not what was announced
 * - `memory`: less memory is there than a model's weights need
 * - `disk`: no room, or no permission to write, for what is downloaded or made
 * - `context`: more tokens than the model's positions allow
 * - `addon`: the native addon is missing, stale or cannot be loaded
 * - `native`: MLX or the addon reported an error
 * - `strict`: there is a warning, and the caller is strict
 * - `disposed`: use of something that was disposed
 * - `aborted`: the caller's AbortSignal fired
 */
export type ErrorCode =
  | "usage"
  | "checkpoint"
  | "pair"
  | "unsupported"
  | "hub"
  | "memory"
  | "disk"
  | "context"
  | "addon"
  | "native"
  | "strict"
  | "disposed"
  | "aborted";

/** The one error family: a line that says what was expected, what was found and where, and what to do. */
export class MlxGemmaError extends Error {
  override readonly name = "MlxGemmaError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** @throws MlxGemmaError `aborted` once the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, message: string): void {
  if (signal?.aborted) throw new MlxGemmaError("aborted", message, { cause: signal.reason });
}
