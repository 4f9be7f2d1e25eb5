import { existsSync } from "node:fs";
import { statfs as systemStatfs, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { INDEX } from "../checkpoint/file-names.js";
import { MlxGemmaError, throwIfAborted } from "../errors.js";
import { addon } from "../mlx/addon.js";
import type { NativeQuantization } from "../mlx/native.js";
import { DTYPES } from "../options.js";
import { size } from "../units.js";
import { companionsOf, copyCompanions } from "./companions.js";
import { outputConfig } from "./config.js";
import { writeShard } from "./convert.js";
import { indexOf, layOut, SHARD_BYTES } from "./layout.js";
import { type Packing, packingOf, type QuantizeOptions } from "./options.js";
import { checkOutput, MANIFEST, onDisk, openOutput } from "./output-folder.js";
import { planOutput, type QuantizePlan } from "./plan.js";
import { openSource, type Source } from "./source.js";

/** What is told while it runs. */
export type QuantizeProgress =
  | { readonly type: "note"; readonly text: string }
  /** `done` of `total` bytes of the source are converted. */
  | { readonly type: "bytes"; readonly done: number; readonly total: number };

export interface QuantizeResult {
  readonly kind: "target" | "assistant";
  /** Absolute paths. */
  readonly source: string;
  readonly output: string;
  readonly quantization: NativeQuantization;
  readonly mixed?: string;
  /** Modules by how they are packed: `4 bits, groups of 64, affine` → count. */
  readonly modules: Readonly<Record<string, number>>;
  /** Of the text model or assistant. */
  readonly parameters: number;
  readonly bitsPerWeight: number;
  readonly bitsPerWeightBefore: number;
  /** Bytes of all tensors written, and of those read for them. */
  readonly bytes: number;
  readonly bytesBefore: number;
  readonly shards: number;
  readonly notes: readonly string[];
}

/** Parts that tests replace. */
export interface QuantizeParts {
  readonly statfs?: (path: string) => Promise<{ readonly bavail: number; readonly bsize: number }>;
  readonly shardBytes?: number;
  readonly blockBytes?: number;
}

/** Room that is left on a disk beside what is written: it never gets quite full. */
const SPARE_BYTES = 16 * 2 ** 20;

/**
 * Writes a folder with the weights of a checkpoint packed, which this program, mlx-lm and mlx-vlm read. Memory is
 * bounded by a few blocks, not by the model. The folder appears when it is whole.
 *
 * @throws MlxGemmaError `usage`, `checkpoint`, `unsupported`, `disk`, `addon`, `native` or `aborted`; then nothing is
 * left behind.
 */
export async function quantize(
  options: QuantizeOptions,
  onProgress: (progress: QuantizeProgress) => void = () => {},
  parts: QuantizeParts = {},
): Promise<QuantizeResult> {
  const { signal } = options;
  const packing = packingOf(options);
  checkDtype(options);
  const folder = checkOutput(options.output, options.force === true);
  const source = openSource(options.model);
  const plan = planOutput(source, packing, options);
  checkPacked(plan, packing);
  addon();
  const shards = layOut(plan.jobs, parts.shardBytes ?? SHARD_BYTES);
  const companions = companionsOf(source.folder);
  const needed =
    shards.reduce((sum, { bytes }) => sum + bytes, 0) + companions.reduce((sum, { bytes }) => sum + bytes, 0);
  await checkRoom(folder, needed, parts.statfs ?? systemStatfs);
  const names = [
    "config.json",
    INDEX,
    ...shards.map(({ name }) => name),
    ...companions.map(({ name }) => name),
  ];
  const output = await openOutput(options.output, { force: options.force === true, files: names });
  const notes = [...output.notes, ...notesOf(plan, packing, source)];
  for (const text of notes) onProgress({ type: "note", text });
  const result = resultOf(source, packing, plan, {
    output: output.folder,
    shards: shards.length,
    notes,
  });
  const total = plan.jobs.reduce((sum, job) => sum + readBytesOf(job), 0);
  try {
    await onDisk(output.folder, async () => {
      let before = 0;
      for (const shard of shards) {
        await writeShard(join(output.temporary, shard.name), shard, {
          signal,
          ...(parts.blockBytes === undefined ? {} : { blockBytes: parts.blockBytes }),
          onProgress: (done) => onProgress({ type: "bytes", done: before + done, total }),
        });
        before += shard.jobs.reduce((sum, job) => sum + readBytesOf(job), 0);
      }
      await copyCompanions(companions, source.folder, output.temporary);
      const write = (name: string, text: string) => writeFile(join(output.temporary, name), text);
      await write(INDEX, indexOf(shards, plan.parameters));
      await write(
        "config.json",
        outputConfig(source, packing.base, plan, { output: output.folder, dtype: options.dtype }),
      );
      await write(MANIFEST, manifest(result, names));
      throwIfAborted(signal, "quantizing was aborted");
      await output.finish();
    });
  } catch (error) {
    await output.discard();
    throw error;
  }
  return result;
}

function readBytesOf({ rows, source }: QuantizePlan["jobs"][number]): number {
  return (source.bytes * rows.count) / rows.period;
}

function checkDtype({ dtype }: QuantizeOptions): void {
  if (dtype === undefined || DTYPES.includes(dtype)) return;
  throw new MlxGemmaError("usage", `--dtype: expected ${DTYPES.join(", ")}, found ${JSON.stringify(dtype)}`);
}

function checkPacked({ packed, kept }: QuantizePlan, { base }: Packing): void {
  if (packed.size > 0) return;
  const unfit = [...kept].filter(([, why]) => why === "group size").map(([name]) => name);
  throw new MlxGemmaError(
    "usage",
    `--group-size: expected a divisor of the rows of some weight, found ${base.groupSize}, which divides none (${unfit[0]} and ${unfit.length - 1} more); give a smaller one`,
  );
}

async function checkRoom(
  folder: string,
  needed: number,
  statfs: NonNullable<QuantizeParts["statfs"]>,
): Promise<void> {
  let place = dirname(folder);
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  const { bavail, bsize } = await onDisk(place, () => statfs(place));
  const free = bavail * bsize;
  if (free >= needed + SPARE_BYTES) return;
  throw new MlxGemmaError(
    "disk",
    `${place}: expected room for ${size(needed + SPARE_BYTES)}, found ${size(free)} free; free some, or give a folder on another disk`,
  );
}

function notesOf(
  { kept, left }: QuantizePlan,
  { base }: Packing,
  { centroidHead, absent }: Source,
): string[] {
  const notes: string[] = [];
  const unfit = [...kept].filter(([, why]) => why === "group size").map(([name]) => name);
  if (unfit.length > 0) {
    notes.push(
      `${unfit.length} of the weights keep their floats, as groups of ${base.groupSize} do not divide their rows: ${listed(unfit)}`,
    );
  }
  if (centroidHead && [...kept.values()].includes("centroid head")) {
    notes.push(
      "embed_tokens keeps its floats: mlx-vlm reads its rows for the centroid head; --quantize-embedding packs it too, for mlx-gemma alone",
    );
  }
  // Unused K/V of layers that share it, and the like: other converters leave them out without a word.
  const strange = left.filter((name) => !/self_attn\.|rotary_emb|lm_head\.weight$/.test(name));
  if (strange.length > 0)
    notes.push(`${strange.length} tensors that no Gemma 4 reads are left out: ${listed(strange)}`);
  if (absent.length > 0) {
    notes.push(
      `${absent.length} vision or audio tensors are left out, as their files are not there: ${listed(absent)}`,
    );
  }
  return notes;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}

function resultOf(
  source: Source,
  { base, recipe }: Packing,
  plan: QuantizePlan,
  rest: { readonly output: string; readonly shards: number; readonly notes: readonly string[] },
): QuantizeResult {
  const modules: Record<string, number> = {};
  for (const { bits, groupSize, mode } of plan.packed.values()) {
    const kind = `${bits} bits, groups of ${groupSize}, ${mode}`;
    modules[kind] = (modules[kind] ?? 0) + 1;
  }
  return {
    kind: source.kind,
    source: source.folder,
    quantization: base,
    ...(recipe ? { mixed: recipe.name } : {}),
    modules,
    parameters: plan.parameters,
    bitsPerWeight: (plan.bytes.after * 8) / plan.parameters,
    bitsPerWeightBefore: (plan.bytes.before * 8) / plan.parameters,
    bytes: plan.totalBytes,
    bytesBefore: plan.jobs.reduce((sum, job) => sum + readBytesOf(job), 0),
    ...rest,
  };
}

/** What stands in the output beside the weights: where it comes from, and which files a later --force may replace. */
function manifest(result: QuantizeResult, files: readonly string[]): string {
  const { quantization, mixed, parameters, bitsPerWeight } = result;
  const json = {
    made_by: `mlx-gemma ${addon().version}, MLX ${addon().mlxVersion}`,
    source: basename(result.source),
    quantization: { group_size: quantization.groupSize, bits: quantization.bits, mode: quantization.mode },
    ...(mixed === undefined ? {} : { mixed }),
    parameters,
    bits_per_weight: bitsPerWeight,
    files,
  };
  return `${JSON.stringify(json, null, 4)}\n`;
}
