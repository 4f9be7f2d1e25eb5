import type { LoadedPair } from "../load.js";
import type { DraftTokens } from "../options.js";
import type { TraceRecorder } from "../trace/recorder.js";
import type { Trace } from "../trace/schema.js";
import type { Flags } from "./flags.js";
import { writeOutput } from "./output-file.js";

/** What writes down a trace, where `--trace` or `--html` asks for one. */
export async function recorderFor(
  { trace, html }: Flags,
  { tokenizer }: LoadedPair,
): Promise<TraceRecorder | undefined> {
  if (trace === undefined && html === undefined) return undefined;
  const { TraceRecorder } = await import("../trace/recorder.js");
  return new TraceRecorder(tokenizer);
}

/** What was asked for, as a trace tells it. */
export function traceSettings(
  flags: Flags,
  { assistant }: LoadedPair,
  draftTokens: DraftTokens,
): Trace["settings"] {
  const { model, draft, dtype, threads, maxTokens, temperature, topK, topP, minP, seed } = flags;
  return {
    model: model ?? "the embedded pair",
    assistant: draft === "none" ? null : (assistant?.folder ?? draft),
    dtype: dtype ?? null,
    threads,
    draftTokens,
    maxTokens,
    temperature,
    topK,
    topP,
    minP,
    seed: seed ?? 0,
  };
}

/** Writes the files that `--trace` and `--html` ask for. */
export async function writeTrace(trace: Trace, flags: Flags): Promise<void> {
  if (flags.trace !== undefined) writeOutput("--trace", flags.trace, `${JSON.stringify(trace, null, 1)}\n`);
  if (flags.html === undefined) return;
  const { tracePage } = await import("./html/trace-page.js");
  writeOutput("--html", flags.html, tracePage(trace));
}
