import { createInterface, type Key } from "node:readline";
import { MlxGemmaError } from "../../errors.js";
import { complete } from "./completion.js";
import type { History } from "./history.js";

/** What came from the user. */
export type Typed =
  | { readonly type: "line"; readonly text: string }
  /** Ctrl-C at the prompt. */
  | { readonly type: "interrupt" }
  | { readonly type: "end" };

/** Lines of a chat. */
export interface ChatInput extends Disposable {
  /** @param goesOn whether a message has begun: its next line is asked for */
  next(goesOn: boolean): Promise<Typed>;
}

const END: Typed = { type: "end" };
/** A terminal in this mode tells where pasted text begins and ends, so that its lines are one message. */
const BRACKETED_PASTE = { on: "\u001b[?2004h", off: "\u001b[?2004l" };

/** Lines of a file or pipe. @param left fires when no more are wanted */
export function pipedLines(left: AbortSignal): ChatInput {
  const lines = linesOf(process.stdin);
  const stopped = new Promise<Typed>((resolve) => {
    left.addEventListener("abort", () => resolve(END), { once: true });
  });
  return {
    next: () =>
      Promise.race([
        stopped,
        lines.next().then(({ done, value }): Typed => (done ? END : { type: "line", text: value })),
      ]),
    [Symbol.dispose]() {
      // Whoever writes there may go on for long.
      process.stdin.destroy();
    },
  };
}

/** @throws MlxGemmaError `usage` for bytes that are no UTF-8 */
async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let open = "";
  const decoded = (chunk?: Uint8Array) => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch {
      throw new MlxGemmaError(
        "usage",
        "stdin: expected messages in UTF-8, found other bytes; convert them first",
      );
    }
  };
  for await (const chunk of stream) {
    const lines = (open + decoded(chunk)).split("\n");
    open = lines.pop() ?? "";
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  open += decoded();
  if (open !== "") yield open;
}

/** Lines that are edited on a terminal, shown on stderr; between them the terminal is as the shell left it. */
export function editedLines(history: History, left: AbortSignal): ChatInput {
  const waiting: string[] = [];
  return {
    async next(goesOn) {
      const ready = waiting.shift();
      if (ready !== undefined) return { type: "line", text: ready };
      return left.aborted ? END : editLine(goesOn ? "… " : "> ", history, left, waiting);
    },
    [Symbol.dispose]() {},
  };
}

/** @param waiting takes lines that came with the first, as a paste brings them where its end is not told */
function editLine(prompt: string, history: History, left: AbortSignal, waiting: string[]): Promise<Typed> {
  const { stdin, stderr } = process;
  const lines = createInterface({
    input: stdin,
    output: stderr,
    terminal: true,
    prompt,
    history: [...history.lines],
    historySize: history.lines.length + 1,
    removeHistoryDuplicates: true,
    completer: complete,
  });
  const pastes = process.env.TERM !== "dumb";
  const pasted: string[] = [];
  let pasting = false;
  const onKey = (_: string | undefined, key: Key | undefined) => {
    if (key?.name === "paste-start") pasting = true;
    if (key?.name === "paste-end") pasting = false;
  };
  return new Promise((resolve) => {
    let typed: Typed | undefined;
    const end = (with_: Typed) => {
      if (typed) return;
      typed = with_;
      // Lines of the same piece of input come before this.
      setImmediate(() => {
        left.removeEventListener("abort", onLeft);
        stdin.off("keypress", onKey);
        if (pastes) stderr.write(BRACKETED_PASTE.off);
        lines.close();
        resolve(with_);
      });
    };
    const onLeft = () => end(END);
    left.addEventListener("abort", onLeft);
    stdin.on("keypress", onKey);
    lines.on("line", (text) => {
      history.add(text);
      if (typed) waiting.push(text);
      else if (pasting) pasted.push(text);
      else end({ type: "line", text: [...pasted, text].join("\n") });
    });
    lines.on("SIGINT", () => {
      stderr.write("^C\n");
      end({ type: "interrupt" });
    });
    lines.on("close", () => {
      if (!typed) stderr.write("\n");
      end(END);
    });
    if (pastes) stderr.write(BRACKETED_PASTE.on);
    lines.prompt();
  });
}
