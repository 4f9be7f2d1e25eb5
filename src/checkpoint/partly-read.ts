import type { AssistantConfig } from "./types.js";

// Weights of which a step reads a part only, by canonical name, with or without `.weight` and its like.

/** The table of per-layer embeddings: a token reads one row of it. */
export function isPerLayerTable(canonical: string): boolean {
  return canonical.startsWith("embed_tokens_per_layer.");
}

/** Weights of which a token uses those of its experts alone. */
export function isExpert(canonical: string): boolean {
  return canonical.includes(".experts.");
}

/** The vocabulary's tables of an assistant: a step reads {@link scoredShare} of them. */
export function isAssistantTable(canonical: string): boolean {
  return /^(?:model\.embed_tokens|masked_embedding\.token_ordering)(?:\.|$)/.test(canonical);
}

/** Share of the vocabulary that an assistant's head scores. */
export function scoredShare({ centroidHead }: Pick<AssistantConfig, "centroidHead">): number {
  return centroidHead ? centroidHead.topK / centroidHead.numCentroids : 1;
}
