import type { NativeQuantization } from "../mlx/native.js";
import type { Packing } from "./options.js";

/** A weight that could be packed: of a linear layer, an embedding, or all experts of a layer. */
export interface Module {
  /** Canonical name without `.weight`: `layers.3.mlp.gate_proj`; an assistant's begins with `model.`. */
  readonly name: string;
  /** Values of one row: the axis that groups lie along. */
  readonly columns: number;
}

/** What the choice of a module's packing depends on, beside the module. */
export interface ModuleContext {
  /** num_hidden_layers. */
  readonly layers: number;
  /** An assistant's head that scores centroids first. */
  readonly centroidHead: boolean;
  /** Whether `embed_tokens` is packed even with a centroid head. */
  readonly quantizeEmbedding: boolean;
}

/** Why a module keeps its floats. */
export type Kept = "never packed" | "centroid head" | "group size";

/** The router decides which experts run: mlx-lm and mlx-vlm give it 8 bits, whatever the others have. */
const ROUTER: NativeQuantization = { groupSize: 64, bits: 8, mode: "affine" };

/**
 * How a module is packed, or why not: the rule of mlx-vlm's classes (`quant_predicate` of its Gemma 4 text model; all
 * linear layers and embeddings of its drafter), with what `docs/quantize.md` says of the differences.
 */
export function packModule(
  { name, columns }: Module,
  { base, recipe }: Packing,
  { layers, centroidHead, quantizeEmbedding }: ModuleContext,
): NativeQuantization | Kept {
  if (name === "masked_embedding.centroids") return "never packed";
  if (centroidHead && !quantizeEmbedding && name === "model.embed_tokens") return "centroid head";
  const own = name.endsWith("router.proj")
    ? ROUTER
    : recipe && isSensitive(name, layers)
      ? recipe.high
      : base;
  return columns % base.groupSize === 0 && columns % own.groupSize === 0 ? own : "group size";
}

/**
 * The modules that a recipe of mixed bits spares, as mlx-vlm does: embeddings (the tied head is one), and values and
 * down projections of the first and last eighth of the layers and of every third between. The rule is that of
 * llama.cpp's Q4_K_M.
 */
function isSensitive(name: string, layers: number): boolean {
  if (name.includes("embed_tokens")) return true;
  if (!name.includes("v_proj") && !name.includes("down_proj")) return false;
  const index = Number(/(?:^|\.)layers\.(\d+)\./.exec(name)?.[1] ?? 0);
  const eighth = Math.floor(layers / 8);
  return index < eighth || index >= Math.floor((7 * layers) / 8) || modulo(index - eighth, 3) === 2;
}

function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}
