import { appendFileSync, chmodSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { errorCode } from "../../checkpoint/hub/errors.js";
import { isFile, isPresent } from "../../checkpoint/plain-file.js";
import { userHome } from "../../user-home.js";
import { replaceFile } from "../output-file.js";

/** Lines that a session starts with. */
const LINES = 1000;

/** What was typed, over sessions: one line an entry, newest last, readable by its owner alone. */
export class History {
  /** Newest first, as readline wants it. */
  readonly lines: string[];
  readonly #file: string | undefined;
  #told = false;

  /** @param tell told once when the file can't be used: then the history is this session's alone */
  constructor(
    file: string | undefined,
    private readonly tell: (text: string) => void,
  ) {
    this.#file = file;
    this.lines = this.#read();
  }

  add(line: string): void {
    if (line.trim() === "" || line === this.lines[0]) return;
    this.lines.unshift(line);
    this.#trying((file) => appendFileSync(file, `${line}\n`, { mode: 0o600 }));
  }

  /** The last lines of the file; it is cut to them when it has grown to twice as many. */
  #read(): string[] {
    let lines: string[] = [];
    this.#trying((file) => {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      // Creates it private before anything is in it, and mends one that is not.
      appendFileSync(file, "", { mode: 0o600 });
      chmodSync(file, 0o600);
      const all = readFileSync(file, "utf8").split("\n").slice(0, -1);
      lines = all.slice(-LINES);
      if (all.length > 2 * LINES) replaceFile(file, lines.map((line) => `${line}\n`).join(""), 0o600);
    });
    return lines.reverse();
  }

  #trying(work: (file: string) => void): void {
    if (this.#file === undefined) return;
    try {
      // A pipe that nobody reads would be waited for.
      if (isPresent(this.#file) && !isFile(this.#file)) throw new Error("no plain file");
      work(this.#file);
    } catch (error) {
      if (!this.#told) {
        this.tell(
          `${this.#file}: the history can't be kept there (${errorCode(error) || "no plain file"}); see --no-history`,
        );
      }
      this.#told = true;
    }
  }
}

/**
 * Where it is kept: in XDG_STATE_HOME, else `~/.local/state`; undefined where the user has no folder.
 * https://specifications.freedesktop.org/basedir
 */
export function historyFile(
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  const { XDG_STATE_HOME: state = "" } = env;
  const home = userHome(env);
  const folder = isAbsolute(state) ? state : home && join(home, ".local", "state");
  return folder && join(folder, "mlx-gemma", "chat-history");
}
