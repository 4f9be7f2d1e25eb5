import { MlxGemmaError } from "../errors.js";

export type Prompt =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "ids"; readonly ids: readonly number[] };

/**
 * The prompt from `--prompt-ids`, the argument, or stdin (for `-`, or when there is no argument and stdin is no
 * terminal).
 *
 * @throws MlxGemmaError `usage` when it is empty, given twice or no text.
 */
export async function readPrompt(
  argument: string | undefined,
  ids: readonly number[] | undefined,
  usage: string,
): Promise<Prompt> {
  if (ids) {
    if (argument === undefined) return { kind: "ids", ids };
    throw new MlxGemmaError("usage", "expected a prompt or --prompt-ids, found both; leave one out");
  }
  const fromStdin = argument === "-" || (argument === undefined && !process.stdin.isTTY);
  const text = fromStdin ? await readStdin() : (argument ?? "");
  if (text.trim() === "") {
    const found =
      argument === undefined && !fromStdin ? "none" : fromStdin ? "nothing on stdin" : "an empty one";
    throw new MlxGemmaError("usage", `expected a prompt, found ${found}; usage: ${usage}`);
  }
  return { kind: "text", text };
}

/** All of stdin, without the newline that `echo` puts at the end. */
async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MlxGemmaError("usage", `stdin: expected a prompt, found that it can't be read (${reason})`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)).replace(/\r?\n$/, "");
  } catch {
    throw new MlxGemmaError(
      "usage",
      "stdin: expected a prompt in UTF-8, found other bytes; convert it first",
    );
  }
}
