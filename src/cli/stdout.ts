import type { JsonCommand, JsonOf } from "./json-schemas.js";

// Loaded by every command, `--help` too: it loads nothing.

let outlives = false;

/** From now on the command goes on when the reader of stdout has gone: it has files to write, too. */
export function outliveReader(): void {
  outlives = true;
}

/** Whether there is nothing left to do when the reader of stdout has gone. */
export function endsWithReader(): boolean {
  return !outlives;
}

/** Writes to stdout; resolves when the stream takes more, or nobody reads it any more. */
export async function write(text: string): Promise<void> {
  const { stdout } = process;
  if (text === "" || !stdout.writable || stdout.write(text)) return;
  await new Promise<void>((resolve) => {
    const settle = () => {
      stdout.off("drain", settle).off("error", settle);
      resolve();
    };
    stdout.on("drain", settle).on("error", settle);
  });
}

/** `--json`: one object on one line. */
export async function writeJson<Command extends JsonCommand = never>(value: JsonOf<Command>): Promise<void> {
  await write(jsonLine(value));
}

/** A line of JSON that steers no terminal: JSON itself leaves DEL and the C1 control characters as they are. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value);
  return `${text.replace(/[\x7f-\x9f]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`)}\n`;
}
