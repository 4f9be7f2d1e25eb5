import { floatsOf, type StoredTensor } from "../../../support/tensors.js";
import type { ModelShape } from "../configuration.js";
import {
  add,
  attend,
  product,
  rmsNorm,
  times,
  topOf,
  type Vector,
  type Weights,
  weightsOf,
} from "./numbers.js";
import { denseMlp, embed, frequenciesOf, queryOf, type ReferenceRun } from "./target.js";

/** Scores of a draft step: one of each token; -Infinity where a centroid head leaves it out. */
export interface DraftScores {
  readonly scores: Vector;
  /** How far the last cluster that a centroid head takes is above the best one that it leaves out. */
  readonly clusterMargin: number;
}

/**
 * A round of the assistant in float64. The drafts are given: a step's token is the one before.
 *
 * @param position of the bonus token, `ids[position]`; the run has processed what stands before it
 */
export function draftScores(
  model: ModelShape,
  letters: readonly ("f" | "s")[],
  parts: {
    readonly target: Weights;
    readonly assistant: ReadonlyMap<string, StoredTensor>;
    readonly run: ReferenceRun;
  },
  round: { readonly position: number; readonly tokens: readonly number[] },
): DraftScores[] {
  const { target, run } = parts;
  const own = weightsOf(parts.assistant);
  const { position, tokens } = round;
  const table = target("embed_tokens.weight");
  let hidden = run.hidden[position - 1] ?? new Float64Array(model.hidden);
  return tokens.map((token) => {
    const embedding = embed(table, token, model.hidden);
    let h = product(own("pre_projection.weight"), Float64Array.of(...embedding, ...hidden));
    for (const [index, letter] of letters.entries()) {
      const layer: Weights = (name) => own(`model.layers.${index}.${name}`);
      const kv = run.shared[letter];
      if (!kv) throw new Error("the target has no K/V of that type");
      const from = letter === "s" ? Math.max(0, position - model.window + 1) : 0;
      const rows = { keys: kv.keys.slice(from, position), values: kv.values.slice(from, position) };
      const frequencies = frequenciesOf(model, letter);
      const normed = rmsNorm(h, layer("input_layernorm.weight"));
      const query = queryOf(layer, normed, position, frequencies);
      const attended = attend(query, rows.keys, rows.values, 2 * frequencies.length);
      h = add(
        h,
        rmsNorm(
          product(layer("self_attn.o_proj.weight"), attended),
          layer("post_attention_layernorm.weight"),
        ),
      );
      const inner = denseMlp(layer, rmsNorm(h, layer("pre_feedforward_layernorm.weight")));
      h = times(
        add(h, rmsNorm(inner, layer("post_feedforward_layernorm.weight"))),
        layer("layer_scalar")[0] ?? 1,
      );
    }
    h = rmsNorm(h, own("model.norm.weight"));
    hidden = product(own("post_projection.weight"), h);
    const scores = product(own("model.embed_tokens.weight"), h);
    return model.head === "centroid"
      ? onlyCandidates(model, parts.assistant, h, scores)
      : { scores, clusterMargin: Number.POSITIVE_INFINITY };
  });
}

/** A centroid head scores the tokens of its best clusters alone. */
function onlyCandidates(
  { topExperts: topK }: ModelShape,
  assistant: ReadonlyMap<string, StoredTensor>,
  h: Vector,
  scores: Vector,
): DraftScores {
  const centroids = assistant.get("masked_embedding.centroids.weight");
  const ordering = assistant.get("masked_embedding.token_ordering");
  if (!centroids || !ordering) throw new Error("no centroid head");
  const clusters = product(floatsOf(centroids), h);
  const order = new Int32Array(ordering.bytes.buffer, ordering.bytes.byteOffset, scores.length);
  const size = order.length / clusters.length;
  const { chosen, margin } = topOf(clusters, topK);
  const out = new Float64Array(scores.length).fill(Number.NEGATIVE_INFINITY);
  for (const token of chosen.flatMap((cluster) => [
    ...order.subarray(cluster * size, (cluster + 1) * size),
  ])) {
    out[token] = scores[token] ?? 0;
  }
  return { scores: out, clusterMargin: margin };
}
