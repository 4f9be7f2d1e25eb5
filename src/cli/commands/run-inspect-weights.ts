import { MlxGemmaError } from "../../errors.js";
import type { Inspected } from "../../inspect/open.js";
import type { Difference, Inspection, PairView } from "../../inspect/schema.js";
import { counted } from "../../units.js";
import { refuseWarnings } from "../../warnings.js";
import { EXIT_FINDINGS } from "../exit-codes.js";
import { onInterruption } from "../interruption.js";
import { CheckpointOpener } from "../open-checkpoint.js";
import { write, writeJson } from "../stdout.js";
import { colours } from "../ui/colour.js";
import { openProgress, type Progress } from "../ui/progress.js";
import { tellWarnings } from "../warnings.js";
import type { InspectFlags } from "./inspect-weights.js";

/** Runs `mlx-gemma inspect-weights`. Sets the exit code for findings and interruptions; an error is thrown. */
export async function runInspectWeights(checkpoint: string | undefined, flags: InspectFlags): Promise<void> {
  const progress = await openProgress({ quiet: flags.quiet === true, color: flags.color });
  const interruption = onInterruption(() => progress.stop());
  const run: Run = { flags, progress, signal: interruption.signal };
  try {
    await using opener = new CheckpointOpener({ ...flags, progress, signal: run.signal });
    const view = await viewOf(await opener.open(checkpoint, flags.revision), run, opener);
    progress.stop();
    if (flags.json) await writeJson<"inspect-weights">(view);
    else await write(await asText(view, flags));
    conclude(view, flags, progress);
  } catch (error) {
    if (!(error instanceof MlxGemmaError && error.code === "aborted")) throw error;
    process.exitCode = interruption.exitCode;
  } finally {
    progress.stop();
  }
}

interface Run {
  readonly flags: InspectFlags;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Each view is loaded for those who ask for it: the first to be shown comes sooner. */
async function viewOf(inspected: Inspected, run: Run, opener: CheckpointOpener): Promise<Inspection> {
  const { flags } = run;
  const pattern = flags.tensors === true ? undefined : flags.tensors;
  if (flags.check) {
    const { check } = await import("../../inspect/check.js");
    const readValues = inspected.facts.folder !== null && flags.headersOnly !== true;
    return await check(inspected, { readValues, ...(await reading(run)) });
  }
  if (flags.pair !== undefined) {
    const { comparePair } = await import("../../inspect/pair.js");
    const assistant =
      flags.pair === "assistant" ? opener.openAssistantOf(inspected) : opener.open(flags.pair);
    return comparePair(inspected, await assistant);
  }
  if (flags.diff !== undefined) {
    const { diff } = await import("../../inspect/diff.js");
    const other = await opener.open(flags.diff);
    for (const side of [inspected, other]) tellFlaws(side.facts.name, side.findings.length, run.progress);
    const readValues = flags.stats === true;
    if (readValues) for (const side of [inspected, other]) requireLocal(side);
    return await diff(inspected, other, pattern, { readValues, ...(await reading(run)) });
  }
  if (flags.stats) {
    requireLocal(inspected);
    const { statsOf } = await import("../../inspect/stats.js");
    return await statsOf(inspected, pattern, await reading(run));
  }
  if (flags.tree) return (await import("../../inspect/tree.js")).treeOf(inspected, pattern);
  if (flags.tensors !== undefined)
    return (await import("../../inspect/tensors.js")).listTensors(inspected, pattern);
  return (await import("../../inspect/summary.js")).summarize(inspected, flags.bandwidth * 1e9);
}

function requireLocal({ facts: { name, folder } }: Inspected): void {
  if (folder !== null) return;
  throw new MlxGemmaError(
    "usage",
    `${name}: expected a checkpoint on this machine, since --stats reads all weights, found one on the hub; run mlx-gemma pull ${name} first`,
  );
}

async function reading({ flags, progress, signal }: Run) {
  const { picture } = await import("../ui/download-bar.js");
  const since = performance.now();
  return {
    signal,
    threads: flags.threads,
    onProgress(done: number, total: number) {
      const seconds = (performance.now() - since) / 1000;
      // A speed from the first moment would jump about.
      const speed = seconds > 0.5 ? done / seconds : undefined;
      const columns = process.stderr.columns || 80;
      progress.say(picture({ name: "reading weights", done, total, speed, reason: undefined, columns }));
    },
  };
}

async function asText(view: Inspection, flags: InspectFlags): Promise<string> {
  const { inspectionText } = await import("../ui/inspect/view.js");
  const { stdout } = process;
  const columns = stdout.isTTY ? stdout.columns || 80 : Number.POSITIVE_INFINITY;
  return `${await inspectionText(view, { chalk: colours(flags.color, stdout), columns })}\n`;
}

/** What is told beside the view, and by the exit code. @throws MlxGemmaError `pair`, `strict` */
function conclude(view: Inspection, flags: InspectFlags, progress: Progress): void {
  switch (view.view) {
    case "summary":
      tellFlaws(view.checkpoint.name, view.findings, progress);
      return;
    case "tensors":
      if (view.absent.length > 0)
        progress.note(`${counted(view.absent.length, "tensor")} in shards that are not there`);
      return;
    case "check":
      for (const note of view.notes) progress.note(note);
      if (!view.valuesRead) progress.note("the values were not read: NaN and infinity were not looked for");
      if (view.findings.length > 0) process.exitCode = EXIT_FINDINGS;
      return;
    case "diff":
      if (view.differences.some(isDifferent)) process.exitCode = EXIT_FINDINGS;
      return;
    case "pair":
      if (!flags.strict) tellWarnings(view.warnings, flags, progress);
      requireFit(view);
      refuseWarnings(view.warnings, flags);
      return;
  }
}

function tellFlaws(name: string, flaws: number, progress: Progress): void {
  if (flaws > 0) progress.note(`${name}: ${counted(flaws, "flaw")} in the headers; --check lists them`);
}

function isDifferent({ status, error }: Difference): boolean {
  return status !== "same" || (error !== null && error.unequal > 0);
}

function requireFit({ rules }: PairView): void {
  const broken = rules.filter(({ fits }) => !fits);
  if (broken.length === 0) return;
  throw new MlxGemmaError(
    "pair",
    `target and assistant do not fit: ${broken.map(({ what }) => what).join(", ")}; give the assistant that was made for this target`,
  );
}
