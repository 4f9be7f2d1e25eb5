import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { expect } from "vitest";
import type { ZodType } from "zod";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const EMBEDDED = `${ROOT}models/tiny-gemma4`;
export const FOX = "Tell me a story about a fox.";

const BIN = `${ROOT}bin/mlx-gemma.js`;

/** The test's environment without what changes colours. */
const ENV = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(NO_COLOR|FORCE_COLOR|CI|COLORTERM|TERM|MLX_GEMMA_CONFIG)$/.test(name),
  ),
);

export interface Outcome {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Where it runs. */
  readonly cwd?: string;
  /** Sent once stdout or stderr has this text. */
  readonly kill?: { readonly after: string; readonly signal: NodeJS.Signals };
  /** Closes our end of stdout at the first bytes. */
  readonly closeStdout?: true;
}

/** Runs the built command with pipes. */
export function mlxGemma(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BIN, ...args], {
      env: { ...ENV, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    let stdout = "";
    let stderr = "";
    let { kill } = options;
    const killIn = (shown: string) => {
      if (!kill || !shown.includes(kill.after)) return;
      child.kill(kill.signal);
      kill = undefined;
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (options.closeStdout) child.stdout.destroy();
      killIn(stdout);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      killIn(stderr);
    });
    child.on("error", reject).on("close", (code) => resolve({ code, stdout, stderr }));
    // A command that does not read its stdin may be gone before all is written.
    child.stdin.on("error", () => {}).end(options.input ?? "");
  });
}

/** The one line that `--json` printed, held against its schema: no key more, no key less. */
export function readJson<T>(schema: ZodType<T>, stdout: string): T {
  expect(stdout).toMatch(/^\{.*\}\n$/);
  const printed: unknown = JSON.parse(stdout);
  const parsed = schema.parse(printed);
  // Parsing drops what the schema does not know.
  expect(parsed).toEqual(printed);
  return parsed;
}

/** `mlx-gemma generate` with pipes. */
export const generate = (args: readonly string[], options?: RunOptions) =>
  mlxGemma(["generate", ...args], options);

/** What is missing for tests on a terminal: to stand in their name. */
export const NO_TERMINAL =
  spawnSync("python3", ["-c", "import pty, sys; sys.exit(sys.version_info < (3, 9))"]).status === 0
    ? undefined
    : "skipped: no python3 of at least 3.9 with pty";

export interface Key {
  /** Typed once this was shown … */
  readonly after: string;
  readonly send: string;
  /** … and so many seconds have passed. */
  readonly wait?: number;
  /** How wide the terminal becomes before. */
  readonly columns?: number;
}

export interface TerminalOptions {
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly keys?: readonly Key[];
  /** A file instead of the terminal. */
  readonly stdout?: string;
}

export interface Screen {
  /** Negative: the signal that ended it. */
  readonly code: number;
  /** All that was written, escape sequences included. */
  readonly output: string;
  /** What a person reads: without escape sequences, newlines as \n, rewritten lines one after the other. */
  readonly text: string;
}

/** Runs `mlx-gemma generate` on a pseudo-terminal. */
export function onTerminal(args: readonly string[], options: TerminalOptions = {}): Promise<Screen> {
  return mlxGemmaOnTerminal(["generate", ...args], options);
}

/** Runs the built command on a pseudo-terminal. */
export function mlxGemmaOnTerminal(args: readonly string[], options: TerminalOptions = {}): Promise<Screen> {
  const job = {
    argv: [process.execPath, BIN, ...args],
    env: { ...ENV, TERM: "xterm-256color", ...options.env },
    columns: options.columns ?? 80,
    rows: 24,
    keys: options.keys ?? [],
    stdout: options.stdout ?? "terminal",
    limit: 90,
  };
  return new Promise((resolve, reject) => {
    const python = spawn("python3", [`${ROOT}test/cli/terminal.py`], { stdio: ["pipe", "pipe", "inherit"] });
    let result = "";
    python.stdout.setEncoding("utf8").on("data", (text: string) => {
      result += text;
    });
    python.on("error", reject).on("close", () => {
      const { code, output }: { code: number; output: string } = JSON.parse(result);
      resolve({ code, output, text: readable(output) });
    });
    python.stdin.end(JSON.stringify(job));
  });
}

const ESC = "\u001b";
/** Turns green on, as accepted drafts are shown. */
export const GREEN = `${ESC}[32m`;
/** SGR: colours and styles; cursor movement is none. */
export const STYLE = new RegExp(`${ESC}\\[[\\d;]*m`);

function readable(output: string): string {
  return stripVTControlCharacters(output).replaceAll("\r\n", "\n");
}
