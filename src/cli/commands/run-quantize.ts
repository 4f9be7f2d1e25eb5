import { totalmem } from "node:os";
import { locateCheckpoint } from "../../checkpoint/index.js";
import { MlxGemmaError } from "../../errors.js";
import { compareAssistants, compareTargets } from "../../quantize/check.js";
import { type QuantizeResult, quantize } from "../../quantize/quantize.js";
import type { ScoresChange } from "../../quantize/scores.js";
import { size } from "../../units.js";
import { onInterruption } from "../interruption.js";
import { write, writeJson } from "../stdout.js";
import { downloadBar, picture } from "../ui/download-bar.js";
import { openProgress, type Progress } from "../ui/progress.js";
import type { QuantizeFlags } from "./quantize.js";

/** Share of the machine's memory that a model may need for the comparison to be tried. */
const MEMORY_SHARE = 0.7;

/** Runs `mlx-gemma quantize`. Sets the exit code when it was interrupted; an error is thrown. */
export async function runQuantize(flags: QuantizeFlags): Promise<void> {
  const progress = await openProgress({ quiet: flags.quiet === true, color: flags.color });
  const interruption = onInterruption(() => progress.stop());
  const { signal } = interruption;
  try {
    const result = await packWeights(flags, progress, signal);
    // The output stands, whatever comes of the comparison.
    const { change, failure } = await checkLogits(result, flags, progress, signal).then(
      (change) => ({ change, failure: undefined }),
      (failure: unknown) => ({ change: undefined, failure }),
    );
    progress.stop();
    if (flags.json) await writeJson<"quantize">({ ...result, ...(change ? { change } : {}) });
    else await write(asText(result, change));
    if (failure !== undefined) throw failure;
  } catch (error) {
    if (!(error instanceof MlxGemmaError && error.code === "aborted")) throw error;
    process.exitCode = interruption.exitCode;
  } finally {
    progress.stop();
  }
}

async function packWeights(
  flags: QuantizeFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<QuantizeResult> {
  progress.say("reading the checkpoint");
  const model = await located(flags.model, flags, progress, signal);
  const since = performance.now();
  return await quantize({ ...flags, model, signal }, (event) => {
    if (event.type === "note") progress.note(event.text);
    else progress.say(pictureOf(event.done, event.total, performance.now() - since));
  });
}

/** The folder of a checkpoint, downloaded where it has to be. */
async function located(
  model: string | undefined,
  { revision, offline }: QuantizeFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<string> {
  const bar = downloadBar(progress);
  try {
    return await locateCheckpoint(model, { revision, offline, signal, onProgress: bar.on });
  } finally {
    bar.stop();
  }
}

function pictureOf(done: number, total: number, milliseconds: number): string {
  // A speed from the first moment would jump about.
  const speed = milliseconds > 500 ? done / (milliseconds / 1000) : undefined;
  return picture({
    name: "packing",
    done,
    total,
    speed,
    reason: undefined,
    columns: process.stderr.columns || 80,
  });
}

/** How the logits changed; undefined when that was not asked for, or can't be told. */
async function checkLogits(
  result: QuantizeResult,
  flags: QuantizeFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<ScoresChange | undefined> {
  if (!flags.check) return undefined;
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  if (result.bytesBefore > MEMORY_SHARE * memory) {
    progress.note(
      `the logits are not compared: that would load ${size(result.bytesBefore)}, and this machine has ${size(memory)}`,
    );
    return undefined;
  }
  if (result.kind === "assistant" && flags.target === undefined) {
    progress.note("the drafts are not compared: give the assistant's target with --target");
    return undefined;
  }
  progress.say("comparing the logits before and after");
  return flags.target !== undefined && result.kind === "assistant"
    ? await compareAssistants(result.source, result.output, flags.target, { signal })
    : await compareTargets(result.source, result.output, { signal });
}

function asText(result: QuantizeResult, change: ScoresChange | undefined): string {
  const modules = Object.entries(result.modules).map(([kind, count]) => `${count} weights in ${kind}`);
  const lines = [
    `wrote ${result.output}`,
    `${size(result.bytes)}, ${(result.bytesBefore / result.bytes).toFixed(2)} times smaller; ` +
      `${result.bitsPerWeight.toFixed(3)} bits per weight (before: ${result.bitsPerWeightBefore.toFixed(3)})`,
    modules.join("; "),
  ];
  if (change) {
    const shared = change.shared < 1 ? `, ${percent(change.shared)} of the candidates in common` : "";
    lines.push(
      `${result.kind === "assistant" ? "drafts" : "logits"} at ${change.positions} positions: KL ${change.kl.toPrecision(3)} nats, ` +
        `largest difference ${change.maxDifference.toPrecision(3)}, the same first choice at ${percent(change.topAgreement)}${shared}`,
    );
  }
  return lines.map((line) => `${line}\n`).join("");
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1).replace(/\.0$/, "")}%`;
}
