import ora, { type Ora } from "ora";
import type { ColourMode } from "./colour.js";
import { colours } from "./colour.js";

/** A spinner on stderr that shows what is going on; nothing where stderr is no terminal. */
export interface Progress {
  say(text: string): void;
  stop(): void;
}

const silent: Progress = { say() {}, stop() {} };

export function progress(options: { readonly quiet: boolean; readonly color: ColourMode }): Progress {
  if (options.quiet || !process.stderr.isTTY) return silent;
  const coloured = colours(options.color, process.stderr).level > 0;
  let spinner: Ora | undefined;
  return {
    say(text) {
      // discardStdin would swallow Ctrl-C as a byte instead of the signal.
      spinner ??= ora({
        stream: process.stderr,
        discardStdin: false,
        ...(coloured ? {} : { color: false as never }),
      });
      if (spinner.isSpinning) spinner.text = text;
      else spinner.start(text);
    },
    stop() {
      spinner?.stop();
      spinner = undefined;
    },
  };
}
