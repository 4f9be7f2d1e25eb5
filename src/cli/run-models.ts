import { statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type CachedSnapshot, cacheFolder, gemmaOf, listCached } from "../checkpoint/hub/index.js";
import { EMBEDDED_TARGET } from "../checkpoint/index.js";
import { assistantCandidates, KNOWN_PAIRS } from "../checkpoint/known-pairs.js";
import { write } from "./answer.js";
import { bf16Bytes, CONTEXT, fourBitBytes, KNOWN_SIZES } from "./known-sizes.js";
import type { ModelsFlags } from "./models.js";
import { colours } from "./ui/colour.js";
import { modelsTables } from "./ui/models-table.js";

/** A Gemma 4 checkpoint in the cache. */
export interface ListedModel {
  readonly id: string;
  readonly revisions: readonly string[];
  readonly commit: string;
  readonly folder: string;
  readonly bytes: number;
  readonly kind: "target" | "assistant";
  readonly modelType: string;
  /** `4 bit`, `bfloat16` …; null when the config does not say. */
  readonly format: string | null;
  /** A target's: the one in the cache that `--draft assistant` takes. */
  readonly assistant: string | null;
  /** Needed files that are not there. */
  readonly missing: readonly string[];
}

/** The pair that comes with the package. */
export interface EmbeddedModel {
  readonly kind: "target" | "assistant";
  readonly folder: string;
  readonly bytes: number;
}

/** A published pair. Bytes are of the text model. */
export interface KnownModel {
  readonly size: string;
  readonly target: string;
  readonly assistant: string;
  readonly parameters: number;
  readonly bytes: { readonly bf16: number; readonly fourBit: number };
  /** Weights, and keys and values of `context` positions. */
  readonly memory: { readonly bf16: number; readonly fourBit: number; readonly context: number };
}

/** All that `models` tells. */
export interface Models {
  readonly cache: string;
  readonly cached: readonly ListedModel[];
  readonly embedded: readonly EmbeddedModel[];
  readonly known: readonly KnownModel[];
}

/** Runs `mlx-gemma models`. */
export async function runModels(flags: ModelsFlags): Promise<void> {
  const models = allModels();
  if (flags.json) {
    await write(`${JSON.stringify(models)}\n`);
    return;
  }
  const { stdout } = process;
  const columns = stdout.isTTY ? stdout.columns || 80 : Number.POSITIVE_INFINITY;
  await write(`${modelsTables(models, colours(flags.color, stdout), columns)}\n`);
}

function allModels(): Models {
  const cache = cacheFolder();
  const snapshots = listCached(cache);
  return {
    cache,
    cached: snapshots.flatMap((snapshot) => listed(snapshot, snapshots)),
    embedded: (["target", "assistant"] as const).map((kind) => embedded(kind)),
    known: KNOWN_PAIRS.flatMap(({ size, target, assistant }) => known(size, target, assistant)),
  };
}

function listed(snapshot: CachedSnapshot, all: readonly CachedSnapshot[]): ListedModel[] {
  const gemma = gemmaOf(snapshot.folder);
  if (!gemma) return [];
  const { id, revisions, commit, folder, bytes, missing } = snapshot;
  const { kind, modelType, format = null } = gemma;
  const assistant = kind === "target" ? assistantOf(id, all) : null;
  return [{ id, revisions, commit, folder, bytes, kind, modelType, format, assistant, missing }];
}

/** The assistant of a target that the cache has whole. */
function assistantOf(id: string, all: readonly CachedSnapshot[]): string | null {
  const whole = all.filter(({ missing, revisions }) => missing.length === 0 && revisions.includes("main"));
  for (const candidate of assistantCandidates(id)) {
    const found = whole.find((snapshot) => snapshot.id.toLowerCase() === candidate.toLowerCase());
    if (found) return found.id;
  }
  return null;
}

function embedded(kind: "target" | "assistant"): EmbeddedModel {
  const folder = join(dirname(EMBEDDED_TARGET), kind === "target" ? basename(EMBEDDED_TARGET) : kind);
  const weights = statSync(join(folder, "model.safetensors"), { throwIfNoEntry: false });
  return { kind, folder, bytes: weights?.size ?? 0 };
}

function known(size: string, target: string, assistant: string): KnownModel[] {
  const facts = KNOWN_SIZES[size];
  if (!facts) return [];
  const bytes = { bf16: bf16Bytes(facts), fourBit: fourBitBytes(facts) };
  const memory = {
    bf16: bytes.bf16 + facts.cacheBytes,
    fourBit: bytes.fourBit + facts.cacheBytes,
    context: CONTEXT,
  };
  return [{ size, target, assistant, parameters: facts.parameters, bytes, memory }];
}
