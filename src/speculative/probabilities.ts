import type { DraftDistribution, Proposal } from "../drafter/drafter.js";
import type { MlxArray } from "../mlx/array.js";
import * as ops from "../mlx/ops.js";
import { GREEDY } from "./sampling.js";
import type { Verifier } from "./verifier.js";

/** How likely target and drafter held one token. */
export interface TokenProbability {
  readonly target: number;
  /** null where the drafter said nothing: behind the last draft. */
  readonly drafter: number | null;
}

/** Probabilities of what a verdict names. */
export interface Probabilities {
  /** Of the K drafts. */
  readonly drafts: readonly TokenProbability[];
  /** Of the K + 1 tokens to go on with. */
  readonly next: readonly TokenProbability[];
}

/**
 * The same verifier, which also tells probabilities: after the cuts where it samples, else at temperature 1 without
 * cuts. What it decides stays the same.
 */
export function withProbabilities(verifier: Verifier): Verifier {
  const { pick } = verifier;
  const distribution =
    pick.probabilities ?? ((logits: MlxArray) => ops.probabilities(logits, { ...GREEDY, temperature: 1 }));
  return {
    ...verifier,
    pick: { ...pick, probabilities: distribution },
    probabilities: (logits, proposal, verdict) => probabilitiesOf(logits, proposal, verdict, distribution),
  };
}

/** float32 (4K + 2): p of the drafts, p of the next tokens, q of the drafts, q of the next tokens; NaN where there is no q. */
function probabilitiesOf(
  logits: MlxArray,
  { distributions }: Proposal,
  verdict: MlxArray,
  distribution: (logits: MlxArray) => MlxArray,
): MlxArray {
  const [, rows = 1, vocab = 1] = logits.shape;
  const drafted = rows - 1;
  const ids = ops.reshape(verdict, [-1]);
  const [length = 0] = ids.shape;
  const idAt = (index: number) => ops.reshape(ops.slice(ids, [index], [index + 1]), [1, 1]);
  const tokens = [
    ...Array.from({ length: drafted }, (_, row) => ({ row, id: idAt(row) })),
    ...Array.from({ length: rows }, (_, row) => ({ row, id: idAt(length - rows + row) })),
  ];
  const p = distribution(ops.reshape(logits, [rows, vocab]));
  const q = distributions.map((drafted) => overVocabulary(drafted, vocab));
  const unknown = ops.reshape(ops.scalar(Number.NaN, "float32"), [1]);
  const of = (id: MlxArray, source: MlxArray | undefined) =>
    source ? ops.reshape(ops.takeAlongAxis(source, id, 1), [1]) : unknown;
  return ops.concatenate(
    [
      ...tokens.map(({ row, id }) => of(id, ops.slice(p, [row, 0], [row + 1, vocab]))),
      ...tokens.map(({ row, id }) => of(id, q[row])),
    ],
    0,
  );
}

/** q as float32 (1, V): 0 for every token that is no candidate. */
function overVocabulary({ tokens, probabilities }: DraftDistribution, vocab: number): MlxArray {
  return tokens
    ? ops.putAlongAxis(ops.zeros([1, vocab], "float32"), tokens, probabilities, 1)
    : probabilities;
}

/** Splits what {@link Verifier.probabilities} gave. */
export function readProbabilities(values: Float32Array): Probabilities {
  const half = values.length / 2; // 2K + 1
  const drafted = (half - 1) / 2;
  const all = Array.from({ length: half }, (_, index): TokenProbability => {
    const drafter = values[half + index] ?? Number.NaN;
    return { target: values[index] ?? Number.NaN, drafter: Number.isNaN(drafter) ? null : drafter };
  });
  return { drafts: all.slice(0, drafted), next: all.slice(drafted) };
}
