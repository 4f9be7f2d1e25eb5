import { EXIT_CODES, EXIT_TERMINATED } from "./exit-codes.js";

/** `npx` hands a signal on to its child, which gets it twice for one Ctrl-C: the second comes within a moment. */
export const SAME_MS = 250;

/** What Ctrl-C and SIGTERM do while the command runs. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** The process' exit code after an interruption. */
  readonly exitCode: number;
}

/**
 * The first signal asks for an end at the next occasion; one more kills at once. This holds until the process ends:
 * a late second signal must not cut what is being written.
 *
 * @param beforeKill gives the terminal back
 */
export function onInterruption(beforeKill: () => void): Interruption {
  const controller = new AbortController();
  let exitCode = EXIT_CODES.aborted;
  let since = 0;
  const on = (signal: NodeJS.Signals) => {
    if (!controller.signal.aborted) {
      exitCode = signal === "SIGTERM" ? EXIT_TERMINATED : EXIT_CODES.aborted;
      since = performance.now();
      controller.abort();
    } else if (performance.now() - since > SAME_MS) {
      beforeKill();
      process.off("SIGINT", on).off("SIGTERM", on);
      // By the signal itself, so that nothing waits for an evaluation that runs.
      process.kill(process.pid, signal);
    }
  };
  process.on("SIGINT", on).on("SIGTERM", on);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
  };
}
