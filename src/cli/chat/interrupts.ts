import { EXIT_CODES, EXIT_TERMINATED } from "../exit-codes.js";
import { SAME_MS } from "../interruption.js";

/** What Ctrl-C does to a chat: it stops the answer; one more, or one where nothing is written, leaves. */
export interface Interrupts {
  /** Fires when the program shall end. */
  readonly left: AbortSignal;
  /** The process' exit code once it has fired. */
  readonly exitCode: number;
  /** Ctrl-C where the terminal gives no signal: at the prompt. True: it was the first, and the chat goes on. */
  press(): boolean;
  /** The chat begins, or something was typed: the next Ctrl-C is a first one again. */
  reset(): void;
  /** Runs an answer with the signal that stops it. */
  during<T>(answer: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/**
 * Takes SIGINT and SIGTERM. Before the first answer, and where stdin is no terminal, the first SIGINT leaves.
 *
 * @param beforeKill gives the terminal back
 */
export function onInterrupts(interactive: boolean, beforeKill: () => void): Interrupts {
  const leave = new AbortController();
  let exitCode = EXIT_CODES.aborted;
  let presses = 0;
  let since = Number.NEGATIVE_INFINITY;
  let answer: AbortController | undefined;
  let chatting = false;

  const end = (code: number) => {
    exitCode = code;
    leave.abort();
    answer?.abort();
  };
  const press = () => {
    const again = performance.now() - since <= SAME_MS;
    if (again) return !leave.signal.aborted;
    since = performance.now();
    presses += 1;
    if (presses > 1 || !interactive || !chatting) end(EXIT_CODES.aborted);
    else answer?.abort();
    return !leave.signal.aborted;
  };
  const on = (signal: NodeJS.Signals) => {
    if (leave.signal.aborted && performance.now() - since > SAME_MS) {
      beforeKill();
      process.off("SIGINT", on).off("SIGTERM", on);
      // By the signal itself, so that nothing waits for an evaluation that runs.
      process.kill(process.pid, signal);
    } else if (signal === "SIGTERM") {
      since = performance.now();
      end(EXIT_TERMINATED);
    } else {
      press();
    }
  };
  process.on("SIGINT", on).on("SIGTERM", on);
  return {
    left: leave.signal,
    get exitCode() {
      return exitCode;
    },
    press,
    reset() {
      chatting = true;
      presses = 0;
    },
    async during(run) {
      answer = new AbortController();
      if (leave.signal.aborted) answer.abort();
      try {
        return await run(answer.signal);
      } finally {
        answer = undefined;
      }
    },
  };
}
