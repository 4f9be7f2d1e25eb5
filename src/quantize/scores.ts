/** Scores of one position: of the whole vocabulary in order, or of the tokens beside them. */
export interface Candidates {
  readonly logits: Float32Array;
  readonly tokens?: Int32Array;
}

/** How far two forms of one model lie apart, over some positions. */
export interface ScoresChange {
  readonly positions: number;
  /** Kullback-Leibler divergence of the quantized form's distribution from the float form's, in nats, mean. */
  readonly kl: number;
  /** The largest difference of one token's logits. */
  readonly maxDifference: number;
  /** Share of positions whose likeliest token is the same. */
  readonly topAgreement: number;
  /** Share of the candidates that both have; 1 unless a centroid head picked them. */
  readonly shared: number;
}

/** Compares two distributions; where candidates differ, over those that both have. */
export function compareScores(before: Candidates, after: Candidates): ScoresChange {
  const [p, q, shared] = aligned(before, after);
  const pNormal = logSum(p);
  const qNormal = logSum(q);
  let kl = 0;
  let maxDifference = 0;
  for (let i = 0; i < p.length; i++) {
    const a = p[i] ?? 0;
    const b = q[i] ?? 0;
    maxDifference = Math.max(maxDifference, Math.abs(a - b));
    const logP = a - pNormal;
    if (logP > -700) kl += Math.exp(logP) * (logP - (b - qNormal));
  }
  const same = best(before) === best(after);
  // Rounding may bring equal distributions below zero.
  return { positions: 1, kl: Math.max(0, kl), maxDifference, topAgreement: same ? 1 : 0, shared };
}

/** The mean over positions, and the largest difference of all. */
export function sumUp(changes: readonly ScoresChange[]): ScoresChange {
  const mean = (value: (change: ScoresChange) => number) =>
    changes.reduce((sum, change) => sum + value(change), 0) / Math.max(1, changes.length);
  return {
    positions: changes.length,
    kl: mean(({ kl }) => kl),
    maxDifference: changes.reduce((most, { maxDifference }) => Math.max(most, maxDifference), 0),
    topAgreement: mean(({ topAgreement }) => topAgreement),
    shared: mean(({ shared }) => shared),
  };
}

function aligned(before: Candidates, after: Candidates): [Float32Array, Float32Array, number] {
  if (!before.tokens || !after.tokens) return [before.logits, after.logits, 1];
  const place = new Map([...after.tokens].map((token, index) => [token, index]));
  const p: number[] = [];
  const q: number[] = [];
  for (const [index, token] of before.tokens.entries()) {
    const other = place.get(token);
    if (other === undefined) continue;
    p.push(before.logits[index] ?? 0);
    q.push(after.logits[other] ?? 0);
  }
  return [Float32Array.from(p), Float32Array.from(q), p.length / Math.max(1, before.tokens.length)];
}

function best({ logits, tokens }: Candidates): number {
  let top = 0;
  for (let i = 1; i < logits.length; i++) {
    if ((logits[i] ?? 0) > (logits[top] ?? 0)) top = i;
  }
  return tokens ? (tokens[top] ?? -1) : top;
}

function logSum(logits: Float32Array): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const logit of logits) most = Math.max(most, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  return most + Math.log(sum);
}
