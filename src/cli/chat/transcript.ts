import { existsSync, readFileSync, statSync } from "node:fs";
import { errorCode } from "../../checkpoint/hub/errors.js";
import { MlxGemmaError } from "../../errors.js";
import type { ChatMessage } from "../../text/chat-template.js";
import { userHome } from "../../user-home.js";
import * as z from "../../zod.js";
import { writeOutput } from "../output-file.js";

const MAX_BYTES = 64 * 1024 * 1024;

const transcript = z.object({
  format: z.literal("mlx-gemma chat"),
  version: z.literal(1),
  system: z.string().optional(),
  messages: z.array(z.object({ role: z.enum(["user", "assistant"]), content: z.string() })),
});

/** A conversation in a file. */
export interface Transcript {
  readonly system?: string | undefined;
  readonly messages: readonly ChatMessage[];
}

/**
 * Writes a conversation for its owner alone to read.
 *
 * @param replace whether a file that is there may go
 * @throws MlxGemmaError `usage` for a file that is there, `disk` where it can't be written
 */
export function saveTranscript(path: string, { system, messages }: Transcript, replace: boolean): void {
  const file = expanded(path);
  const content = {
    format: "mlx-gemma chat",
    version: 1,
    ...(system === undefined ? {} : { system }),
    messages,
  };
  if (!replace && existsSync(file)) {
    throw new MlxGemmaError(
      "usage",
      `${path}: expected a new file, found one that is there; give another name`,
    );
  }
  writeOutput("/save", file, `${JSON.stringify(content, null, 2)}\n`, 0o600);
}

/** @throws MlxGemmaError `usage` for a file that can't be read, or is no conversation */
export function loadTranscript(path: string): Transcript {
  const file = expanded(path);
  const bad = (found: string) =>
    new MlxGemmaError("usage", `${path}: expected a conversation that /save wrote, found ${found}`);
  let json: unknown;
  try {
    const stats = statSync(file);
    if (!stats.isFile()) throw bad("no plain file");
    if (stats.size > MAX_BYTES) throw bad(`${stats.size} bytes, more than ${MAX_BYTES}`);
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (error instanceof MlxGemmaError) throw error;
    throw bad(errorCode(error) === "" ? "no JSON" : `that it can't be read (${errorCode(error)})`);
  }
  const read = transcript.safeParse(json);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw bad(`a mistake at ${issue?.path.join(".") || "its top"} (${issue?.message})`);
}

/** A shell is not there to expand `~`. */
function expanded(path: string): string {
  return path.replace(/^~(?=$|\/)/, (tilde) => userHome() ?? tilde);
}
