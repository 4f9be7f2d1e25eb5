import { isTextTensor } from "../checkpoint/hub/selection.js";
import { textPrefix } from "../checkpoint/weights.js";

/** Turns a name of the files into the canonical one of `WeightPlan`. */
export type Canonical = (name: string) => string;

/** How names of these files become canonical: a target's lose the prefix of their packaging, an assistant's stay. */
export function canonicalNames(
  kind: "target" | "assistant" | undefined,
  tensors: { has(name: string): boolean },
): Canonical {
  const prefix = kind === "target" ? (textPrefix(tensors) ?? "") : "";
  return (name) => {
    if (name.startsWith(prefix) && (prefix !== "" || kind !== "target")) return name.slice(prefix.length);
    // Other parts of a multimodal model: transformers puts them below `model`, MLX conversions do not.
    return isTextTensor(name) ? name : name.replace(/^model\./, "");
  };
}

/** What a tensor is for. */
export const PARTS = [
  "embedding",
  "per-layer embedding",
  "attention",
  "mlp",
  "experts",
  "norms",
  "projections",
  "head",
  "unused",
  "vision",
  "audio",
] as const;
export type PartName = (typeof PARTS)[number];

const PATTERNS: readonly (readonly [RegExp, PartName])[] = [
  [/^(?:model\.)?embed_tokens\./, "embedding"],
  [
    /embed_tokens_per_layer|per_layer_(?:model_projection|projection|input_gate|input_norm)/,
    "per-layer embedding",
  ],
  [/\.self_attn\./, "attention"],
  [/\.mlp\./, "mlp"],
  [/\.(?:experts|router)\./, "experts"],
  [/^(?:pre|post)_projection\./, "projections"],
  [/^masked_embedding\./, "head"],
  [/norm|layer_scalar/, "norms"],
];

/**
 * The part of the model that a tensor belongs to.
 *
 * @param canonical see {@link canonicalNames}
 * @param used whether the model reads it
 */
export function partOf(name: string, canonical: string, used: boolean): PartName {
  if (!isTextTensor(name)) return /audio/.test(name) ? "audio" : "vision";
  if (!used) return "unused";
  return PATTERNS.find(([pattern]) => pattern.test(canonical))?.[1] ?? "unused";
}
