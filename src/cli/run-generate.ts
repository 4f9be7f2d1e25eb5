import { existsSync } from "node:fs";
import { isHubOnly } from "../checkpoint/hub/repo-id.js";
import { MlxGemmaError } from "../errors.js";
import { generate } from "../generate.js";
import { type LoadedPair, load } from "../load.js";
import { type EndEvent, write, writeAnswer } from "./answer.js";
import { type Flags, notesOn } from "./flags.js";
import { onInterruption } from "./interruption.js";
import { type Prompt, readPrompt } from "./prompt.js";
import { colours } from "./ui/colour.js";
import { downloadBar } from "./ui/download-bar.js";
import { openProgress, type Progress } from "./ui/progress.js";
import { statisticsLine, statisticsTable } from "./ui/statistics.js";

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
  checkDraft(flags);
  checkRevisionOf(flags);
  const notes = notesOn(flags, given, colours(flags.color, process.stdout).level > 0);
  const prompt = await readPrompt(argument, flags.promptIds, usage);
  const progress = await openProgress({ quiet: flags.quiet === true, color: flags.color });
  const interruption = onInterruption(() => progress.stop());
  const { signal } = interruption;
  const bar = downloadBar(progress);
  try {
    progress.say("loading the model");
    using pair = await load({ ...flags, signal, onDownload: bar.on });
    bar.stop();
    tellAssistant(pair, progress);
    const promptIds = await idsOf(prompt, pair, flags);
    const warnings = [...notes, ...pair.warnings];
    for (const warning of warnings) progress.note(warning);
    progress.say(`reading the prompt, ${promptIds.length} tokens`);
    const events = generate(pair, { ...flags, promptIds, signal });
    const end = await writeAnswer(events, pair, flags, progress);
    progress.stop();
    if (flags.json) await writeJson(end, promptIds, warnings, pair.assistant);
    writeStatistics(end, flags);
    if (end.stopReason === "aborted") process.exitCode = interruption.exitCode;
  } catch (error) {
    // Nothing was written yet: there is nothing to close.
    if (!(error instanceof MlxGemmaError && error.code === "aborted")) throw error;
    process.exitCode = interruption.exitCode;
  } finally {
    bar.stop();
    progress.stop();
  }
}

/** A folder has no revisions: the option would do nothing. */
function checkRevisionOf({ model, revision }: Flags): void {
  if (revision === undefined) return;
  const isFolder = model === undefined || (!isHubOnly(model) && existsSync(model));
  if (!isFolder) return;
  throw new MlxGemmaError(
    "usage",
    `--revision: expected a repository of the hub as --model, found ${model === undefined ? "none" : "a folder"}; give org/name, or hf://org/name where a folder has that name`,
  );
}

function checkDraft({ draft, draftTokens = 0 }: Flags): void {
  if (draft !== "none" || draftTokens === 0) return;
  throw new MlxGemmaError(
    "usage",
    `--draft-tokens: ${draftTokens} needs a drafter, found none; give --draft assistant or an assistant's folder`,
  );
}

async function idsOf(prompt: Prompt, pair: LoadedPair, flags: Flags): Promise<readonly number[]> {
  return prompt.kind === "ids" ? prompt.ids : pair.encodePrompt(prompt.text, flags);
}

/** Which assistant `--draft assistant` took: on a terminal always, elsewhere where its place does not say it. */
function tellAssistant({ assistant }: LoadedPair, progress: Progress): void {
  if (!assistant || !(process.stderr.isTTY || assistant.guessed)) return;
  progress.note(`drafting with ${assistant.folder} (${assistant.why})`);
}

/** `--json`: one line with one object. */
async function writeJson(
  end: EndEvent,
  promptIds: readonly number[],
  warnings: readonly string[],
  assistant: LoadedPair["assistant"],
): Promise<void> {
  const { text, tokenIds, stopReason, stats } = end;
  const drafter = assistant ? { assistant: { folder: assistant.folder, why: assistant.why } } : {};
  const result = { text, tokenIds, promptTokenIds: promptIds, stopReason, stats, ...drafter, warnings };
  await write(`${JSON.stringify(result)}\n`);
}

/** The closing line on a terminal; all of it for `--stats`, wherever stderr goes. */
function writeStatistics({ stats, stopReason }: EndEvent, flags: Flags): void {
  const { stderr } = process;
  if (flags.quiet || !(flags.stats || (stderr.isTTY && !flags.json))) return;
  const chalk = colours(flags.color, stderr);
  const columns = stderr.isTTY ? stderr.columns || 80 : Number.POSITIVE_INFINITY;
  stderr.write(`${statisticsLine(stats, stopReason, chalk, columns)}\n`);
  if (flags.stats) stderr.write(`${statisticsTable(stats, chalk, columns)}\n`);
}
