import { aboutMachine } from "../../bench/about.js";
import { MlxGemmaError } from "../../errors.js";
import { generate } from "../../generate.js";
import type { LoadedPair } from "../../load.js";
import { refuseWarnings, type Warning, type WarningCode } from "../../warnings.js";
import { type EndEvent, writeAnswer } from "../answer.js";
import { decodingOf, type Flags, idleOptions } from "../flags.js";
import { onInterruption } from "../interruption.js";
import type { JsonOf } from "../json-schemas.js";
import { checkPairFlags, drafting, openPair } from "../open-pair.js";
import { checkOutputs } from "../output-file.js";
import { type Prompt, readPrompt } from "../prompt.js";
import { outliveReader, writeJson } from "../stdout.js";
import { recorderFor, traceSettings, writeTrace } from "../trace-output.js";
import { colours } from "../ui/colour.js";
import { openProgress } from "../ui/progress.js";
import { writeStatistics } from "../ui/statistics.js";
import { tellWarnings } from "../warnings.js";

/** What {@link runGenerate} asks of the command line itself. */
export interface CommandLine {
  readonly usage: string;
  /** Whether an option was given, rather than defaulted. */
  given(name: keyof Flags): boolean;
}

/** Runs `mlx-gemma generate`. Sets the exit code when it was interrupted; an error is thrown. */
export async function runGenerate(
  argument: string | undefined,
  flags: Flags,
  { usage, given }: CommandLine,
): Promise<void> {
  checkPairFlags(flags);
  const idle = idleOptions(flags, given, colours(flags.color, process.stdout).level > 0);
  refuseWarnings(idle, flags);
  checkOutputs({ "--trace": flags.trace, "--html": flags.html });
  const prompt = await readPrompt(argument, flags.promptIds, usage);
  const progress = await openProgress({ quiet: flags.quiet === true, color: flags.color });
  const interruption = onInterruption(() => progress.stop());
  const { signal } = interruption;
  try {
    // Where no template is used, it does not matter that there is none.
    const untemplated: readonly WarningCode[] =
      flags.raw || prompt.kind === "ids" ? ["no-chat-template"] : [];
    const allow = [...(flags.allow ?? []), ...untemplated];
    using pair = await openPair({ ...flags, allow }, progress, signal);
    const promptIds = await idsOf(prompt, pair, flags);
    const warnings = [...idle, ...pair.warnings].filter(({ code }) => !untemplated.includes(code));
    tellWarnings(warnings, flags, progress);
    progress.say(`reading the prompt, ${promptIds.length} tokens`);
    const recorder = await recorderFor(flags, pair);
    if (recorder) outliveReader();
    const events = generate(pair, {
      ...decodingOf(flags),
      ...drafting(pair, flags),
      ignoreEos: flags.ignoreEos,
      promptIds,
      trace: recorder !== undefined,
      signal,
    });
    const end = await writeAnswer(recorder?.listen(events) ?? events, pair, flags, progress);
    progress.stop();
    tellWarnings(end.warnings, flags, progress);
    const all = [...warnings, ...end.warnings];
    if (flags.json) await writeJson<"generate">(resultOf(end, promptIds, all, pair.assistant));
    if (recorder) {
      const asked = { text: prompt.kind === "text" ? prompt.text : null, tokenIds: promptIds };
      const settings = traceSettings(flags, pair, end.stats.draftTokens);
      await writeTrace(recorder.trace(end, { about: aboutMachine(), settings, prompt: asked }), flags);
    }
    writeStatistics(end, flags);
    if (end.stopReason === "aborted") process.exitCode = interruption.exitCode;
  } catch (error) {
    // Nothing was written yet: there is nothing to close.
    if (!(error instanceof MlxGemmaError && error.code === "aborted")) throw error;
    process.exitCode = interruption.exitCode;
  } finally {
    progress.stop();
  }
}

async function idsOf(prompt: Prompt, pair: LoadedPair, flags: Flags): Promise<readonly number[]> {
  const { raw, system } = flags;
  return prompt.kind === "ids" ? prompt.ids : pair.encodePrompt(prompt.text, { raw, system });
}

/** What `--json` tells. */
function resultOf(
  { text, tokenIds, stopReason, stats }: EndEvent,
  promptTokenIds: readonly number[],
  warnings: readonly Warning[],
  assistant: LoadedPair["assistant"],
): JsonOf<"generate"> {
  const drafter = assistant ? { assistant: { folder: assistant.folder, why: assistant.why } } : {};
  return { text, tokenIds, promptTokenIds, stopReason, stats, ...drafter, warnings };
}
