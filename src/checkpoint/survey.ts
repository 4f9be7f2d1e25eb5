import type { MlxGemmaError } from "../errors.js";
import type { Warning } from "../warnings.js";
import { type ConfigFiles, resolveAssistant, resolveTarget } from "./config.js";
import { assistantWeights, type ExpectedWeight, targetWeights } from "./expected-weights.js";
import { INDEX, WEIGHTS } from "./file-names.js";
import { type CheckpointFiles, readJsonOf } from "./files.js";
import { isTextTensor } from "./hub/selection.js";
import { checkpointError, isObject, quote } from "./json.js";
import { modelWarnings } from "./model-warnings.js";
import { type PackingRules, packingRules } from "./packing-rules.js";
import { type Report, reporting } from "./report.js";
import { headerLength, PREFIX, parseHeader } from "./safetensors-header.js";
import { INDEX_LIMITS, misplaced, missingShard, parseIndex, type TensorDirectory } from "./shards.js";
import type { AssistantConfig, TargetConfig, TensorInfo, WeightPlan } from "./types.js";
import { expertsPackaging, planAssistant, planTarget } from "./weights.js";

/** Bytes of a shard that are asked for at first: most headers are shorter, and a second question costs more. */
const FIRST_READ = 128 * 1024;
/** Shards that are read at once. */
const AT_ONCE = 8;

/** A file of weights. */
export interface Shard {
  readonly name: string;
  /** Absent: the file is not there. */
  readonly bytes?: number;
  /** The first of its header: where its values are is not known for sure. */
  readonly flaw?: MlxGemmaError;
}

/** A tensor, and the plain name of the shard that it is in. */
export interface SurveyedTensor extends TensorInfo {
  readonly shard: string;
}

/** All that a checkpoint's headers say, with nothing thrown away for being wrong. */
export interface Survey {
  readonly files: CheckpointFiles;
  /** Absent: there is no config.json, or it can't be read. */
  readonly config?: ConfigFiles;
  readonly shards: readonly Shard[];
  /** Every tensor whose header entry is sound, by its name in the files. */
  readonly tensors: ReadonlyMap<string, SurveyedTensor>;
  /** Tensors that the index names, in shards that are not there. */
  readonly absent: readonly string[];
  /** The tensors as a plan reads them: asking for one that was told to be wrong tells it again. */
  readonly directory: TensorDirectory;
}

/** A model's part of a checkpoint: what its config says, and the weights that fit it. */
export type SurveyedModel = {
  readonly packing: PackingRules | undefined;
  /** Canonical names of all weights that the config asks for. */
  readonly expected: ReadonlySet<string>;
  /** The weights that are there and right. */
  readonly plan: WeightPlan;
  /** Of its config and its weights. */
  readonly warnings: readonly Warning[];
} & (
  | { readonly kind: "target"; readonly config: TargetConfig }
  | { readonly kind: "assistant"; readonly config: AssistantConfig }
);

/**
 * Reads config, index and headers of a checkpoint; no weights.
 *
 * @param report told every flaw of the files
 * @throws MlxGemmaError `hub` or `aborted` where the hub can't be read.
 */
export async function surveyCheckpoint(files: CheckpointFiles, report: Report): Promise<Survey> {
  const spoiled = new Map<string, MlxGemmaError>();
  const note: Report = (flaw, tensor) => {
    if (flaw.code === "hub" || flaw.code === "aborted") throw flaw;
    if (tensor !== undefined && !spoiled.has(tensor)) spoiled.set(tensor, flaw);
    report(flaw, tensor);
  };
  const config = await reportingAsync(note, () => configFilesOf(files));
  const { shards, tensors, absent } = (await reportingAsync(note, () => weightsOf(files, note))) ?? NOTHING;
  return {
    files,
    ...(config ? { config } : {}),
    shards,
    tensors,
    absent,
    directory: {
      keys: () => tensors.keys(),
      has: (name) => tensors.has(name) || spoiled.has(name),
      get(name) {
        const flaw = tensors.has(name) ? undefined : spoiled.get(name);
        if (flaw) throw flaw;
        return tensors.get(name);
      },
    },
  };
}

/**
 * The model that a surveyed checkpoint holds.
 *
 * @param found its config
 * @param report told every weight that is missing or wrong
 * @throws MlxGemmaError as `openTarget`, for a config that can't be resolved.
 */
export function surveyedModel(survey: Survey, found: ConfigFiles, report: Report): SurveyedModel {
  const { directory: tensors } = survey;
  const folder = survey.files.name;
  const isAssistant = isObject(found.config) && String(found.config.model_type).endsWith("_assistant");
  if (isAssistant) {
    const config = resolveAssistant(found);
    const packing = packingRules(found, "assistant");
    const plan = planAssistant({ folder, config, tensors, packing, report });
    const expected = namesOf(assistantWeights(config));
    return {
      kind: "assistant",
      config: { ...config, quantization: plan.quantization },
      packing,
      expected,
      plan,
      warnings: modelWarnings(found, config, plan),
    };
  }
  const config = resolveTarget(found);
  const packing = packingRules(found, "target");
  const plan = planTarget({ folder, config, tensors, packing, report });
  const expected = namesOf(targetWeights(config, expertsPackaging(tensors)));
  return {
    kind: "target",
    config: { ...config, quantization: plan.quantization },
    packing,
    expected,
    plan,
    warnings: modelWarnings(found, config, plan),
  };
}

function namesOf(weights: readonly ExpectedWeight[]): Set<string> {
  return new Set(weights.map(({ name }) => name));
}

type Weights = Pick<Survey, "shards" | "tensors" | "absent">;
const NOTHING: Weights = { shards: [], tensors: new Map(), absent: [] };

async function configFilesOf(files: CheckpointFiles): Promise<ConfigFiles> {
  const [name, generationName] = ["config.json", "generation_config.json"] as const;
  const config = await readJsonOf(files, name);
  if (config === undefined)
    throw checkpointError(files.name, "expected config.json, found none; give the folder that holds it");
  const generation = await readJsonOf(files, generationName);
  const file = files.pathOf(name);
  return generation === undefined
    ? { file, config }
    : { file, config, generationFile: files.pathOf(generationName), generation };
}

async function weightsOf(files: CheckpointFiles, report: Report): Promise<Weights> {
  const size = await files.size(WEIGHTS);
  if (size !== undefined) {
    const { shard, header } = await openShard(files, WEIGHTS, size, report);
    return { shards: [shard], tensors: header ?? NOTHING.tensors, absent: [] };
  }
  const json = await readJsonOf(files, INDEX, INDEX_LIMITS);
  if (json === undefined) {
    throw checkpointError(
      files.name,
      `expected ${WEIGHTS} or ${INDEX}, found neither; download the checkpoint's weights`,
    );
  }
  return await shardsOf(files, json, report);
}

async function shardsOf(files: CheckpointFiles, json: unknown, report: Report): Promise<Weights> {
  const index = files.pathOf(INDEX);
  const shardOf = parseIndex(json, index);
  const names = [...new Set(shardOf.values())].sort();
  const opened = new Map<string, OpenedShard>();
  await inParallel(names, async (name) => {
    const size = await files.size(name);
    if (size !== undefined) opened.set(name, await openShard(files, name, size, report));
  });
  const tensors = new Map<string, SurveyedTensor>();
  const absent: string[] = [];
  for (const [name, shard] of shardOf) {
    const header = opened.get(shard)?.header;
    const info = header?.get(name);
    if (info) tensors.set(name, info);
    else if (!opened.has(shard)) absent.push(name);
    else if (header) {
      const elsewhere = names.find((other) => opened.get(other)?.header?.has(name));
      report(misplaced(name, shard, elsewhere, index), name);
    }
  }
  for (const name of absent.filter(isTextTensor)) {
    report(missingShard(shardOf, shardOf.get(name) ?? "", index), name);
  }
  for (const [shard, { header }] of opened) tellUnnamed(shard, header, shardOf, files, report);
  if (opened.size === names.length) checkTotal(json, tensors, index, report);
  return { shards: names.map((name) => opened.get(name)?.shard ?? { name }), tensors, absent };
}

function tellUnnamed(
  shard: string,
  header: ReadonlyMap<string, TensorInfo> | undefined,
  shardOf: ReadonlyMap<string, string>,
  files: CheckpointFiles,
  report: Report,
): void {
  for (const name of header?.keys() ?? []) {
    if (shardOf.has(name)) continue;
    report(
      checkpointError(
        files.pathOf(INDEX),
        `expected tensor ${quote(name)} of ${quote(shard)} in weight_map, found nothing of that name; download the index and its shards again`,
      ),
    );
  }
}

function checkTotal(
  json: unknown,
  tensors: ReadonlyMap<string, TensorInfo>,
  index: string,
  report: Report,
): void {
  const metadata = isObject(json) ? json.metadata : undefined;
  const said = isObject(metadata) ? metadata.total_size : undefined;
  const bytes = [...tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
  if (typeof said !== "number" || said === bytes) return;
  report(
    checkpointError(
      index,
      `metadata.total_size: expected ${bytes}, the bytes of all tensors, found ${said}; download the index and its shards again`,
    ),
  );
}

interface OpenedShard {
  readonly shard: Shard;
  /** Absent: there is none that can be read. */
  readonly header: ReadonlyMap<string, SurveyedTensor> | undefined;
}

async function openShard(
  files: CheckpointFiles,
  name: string,
  bytes: number,
  report: Report,
): Promise<OpenedShard> {
  let first: MlxGemmaError | undefined;
  const noting: Report = (flaw, tensor) => {
    report(flaw, tensor);
    first ??= flaw;
  };
  const header = await reportingAsync(noting, () => headerOf(files, name, bytes, noting));
  return { shard: { name, bytes, ...(first ? { flaw: first } : {}) }, header };
}

async function headerOf(
  files: CheckpointFiles,
  name: string,
  size: number,
  report: Report,
): Promise<Map<string, SurveyedTensor>> {
  const place = { file: files.pathOf(name), size, stamp: files.stampOf(name) };
  const first = await files.read(name, 0, Math.min(size, FIRST_READ));
  const end = PREFIX + headerLength(first.subarray(0, PREFIX), place);
  const all =
    end > first.length
      ? Buffer.concat([first, await files.read(name, first.length, end - first.length)])
      : first;
  const tensors = parseHeader(all.subarray(PREFIX, end), place, report);
  return new Map([...tensors].map(([key, info]) => [key, { ...info, shard: name }]));
}

/** As `reporting`, for what takes a while. */
async function reportingAsync<T>(report: Report, step: () => Promise<T>): Promise<T | undefined> {
  const settled = await step().then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error;
    },
  );
  return reporting(report, undefined, settled);
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
