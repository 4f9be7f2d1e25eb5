import { MlxGemmaError } from "../errors.js";

export type Prompt =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "ids"; readonly ids: readonly number[] };

/**
 * The prompt from `--prompt-ids`, the argument, or stdin (for `-`, or when there is no argument and stdin is a pipe).
 *
 * @throws MlxGemmaError `usage` when it is empty or given twice.
 */
export async function readPrompt(
  argument: string | undefined,
  ids: readonly number[] | undefined,
  usage: () => string,
): Promise<Prompt> {
  if (ids) {
    if (argument !== undefined) throw new MlxGemmaError("usage", "give a prompt or --prompt-ids, not both");
    return { kind: "ids", ids };
  }
  const piped = argument === "-" || (argument === undefined && !process.stdin.isTTY);
  // One newline at the end of a pipe is echo's, not the prompt's.
  const text = piped ? (await readStdin()).replace(/\r?\n$/, "") : (argument ?? "");
  if (text.trim() === "") {
    throw new MlxGemmaError("usage", `the prompt is empty; usage: mlx-gemma generate ${usage()}`);
  }
  return { kind: "text", text };
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}
