import { colours } from "./colour.js";
import type { ColourMode } from "./colour-mode.js";
import { forTerminal } from "./terminal-text.js";

/** What is told on stderr while the answer is on its way; texts may hold what others chose. */
export interface Progress {
  /** What is going on: a spinner's text, where stderr is a terminal. */
  say(text: string): void;
  /** A line that stays, marked as a note. */
  note(text: string): void;
  /** A line that stays, marked as a warning; quiet or not. */
  warn(text: string): void;
  /** A line that stays. */
  line(text: string): void;
  /** Whether `say` shows anything. */
  readonly live: boolean;
  /** Takes the spinner away and gives the cursor back. */
  stop(): void;
}

/** A spinner on a terminal; elsewhere, and where CI is set, only lines that stay are written. */
export async function openProgress(options: {
  readonly quiet: boolean;
  readonly color: ColourMode;
}): Promise<Progress> {
  const { stderr } = process;
  const write = (text: string, mark = "") => void stderr.write(`mlx-gemma: ${mark}${forTerminal(text)}\n`);
  const warn = (text: string) => write(text, "warning: ");
  const note = (text: string) => write(text, "note: ");
  if (options.quiet) return { say() {}, note() {}, warn, line() {}, stop() {}, live: false };
  if (!stderr.isTTY || process.env.TERM === "dumb" || isCi()) {
    return { say() {}, note, warn, line: (text) => write(text), stop() {}, live: false };
  }
  // A terminal that does not know its size says 0, which would make ora clear lines without end.
  if (!stderr.columns) stderr.columns = 80;
  const { default: ora } = await import("ora");
  const chalk = colours(options.color, stderr);
  const spinner = ora({
    stream: stderr,
    isEnabled: true,
    // It would swallow Ctrl-C as a byte instead of the signal.
    discardStdin: false,
    color: chalk.level > 0 ? "cyan" : false,
  });
  const stay = (text: string, mark?: string) => {
    if (spinner.isSpinning) spinner.clear();
    write(text, mark);
  };
  return {
    live: true,
    line: (text) => stay(text),
    note: (text) => stay(text, "note: "),
    warn: (text) => stay(text, `${chalk.yellow("warning:")} `),
    say(said) {
      const text = forTerminal(said);
      const room = stderr.columns - 3;
      const shown = text.length > room ? `${text.slice(0, Math.max(0, room - 1))}…` : text;
      if (spinner.isSpinning) spinner.text = shown;
      else spinner.start(shown);
    },
    stop() {
      // ora moves the cursor to the line's beginning, spinning or not.
      if (spinner.isSpinning) spinner.stop();
    },
  };
}

/** A log is read later: a spinner in it would be thousands of lines. */
function isCi(): boolean {
  return !["", "0", "false", undefined].includes(process.env.CI);
}
