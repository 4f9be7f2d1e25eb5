import { statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { WEIGHTS } from "../../checkpoint/file-names.js";
import { type CachedSnapshot, cacheFolder, gemmaOf, listCached } from "../../checkpoint/hub/index.js";
import { EMBEDDED_TARGET } from "../../checkpoint/index.js";
import { assistantCandidates, KNOWN_PAIRS } from "../../checkpoint/known-pairs.js";
import type { JsonOf } from "../json-schemas.js";
import { bf16Bytes, CONTEXT, fourBitBytes, KNOWN_SIZES } from "../known-sizes.js";
import { write, writeJson } from "../stdout.js";
import { colours } from "../ui/colour.js";
import { modelsTables } from "../ui/models-table.js";
import type { ModelsFlags } from "./models.js";

/** All that `models` tells. */
export type Models = JsonOf<"models">;
/** A Gemma 4 checkpoint in the cache. */
export type ListedModel = Models["cached"][number];
type EmbeddedModel = Models["embedded"][number];
type KnownModel = Models["known"][number];

/** Runs `mlx-gemma models`. */
export async function runModels(flags: ModelsFlags): Promise<void> {
  const models = allModels();
  if (flags.json) {
    await writeJson<"models">(models);
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
  const weights = statSync(join(folder, WEIGHTS), { throwIfNoEntry: false });
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
