// A target and a drafter whose next token depends on the last one alone, by a table: small enough that the exact
// distribution of whole texts can be written down.
import type { DraftContext, Proposal } from "../../src/drafter/drafter.js";
import { pickToken } from "../../src/drafter/pick.js";
import { evaluate, fromFloat32, fromInt32, type MlxArray, readInt32, scope } from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";
import { MAX_DRAFT_TOKENS } from "../../src/options.js";
import { conclude } from "../../src/speculative/accept.js";
import type { DraftLength } from "../../src/speculative/draft-length.js";
import type { SamplingOptions } from "../../src/speculative/sampling.js";
import type { Verifier } from "../../src/speculative/verifier.js";
import { referenceProbabilities } from "./reference-sampling.js";

/** Logits of the next token, a row for each last token. */
export type Table = readonly (readonly number[])[];

export interface TablePair {
  readonly target: Table;
  /** Over `candidates` only, in their order. */
  readonly drafter: Table;
  readonly candidates: readonly number[];
}

/**
 * The drafter is wrong on purpose: it prefers other tokens than the target, lacks one of its likely tokens (2), and
 * proposes one that the target never says after a 3 (token 1).
 */
export const PAIR: TablePair = {
  target: [
    [0.5, 0, 1, -0.5, 0.2],
    [1.2, 0.3, -1, 0.4, 0],
    [-0.3, 1, 0.6, 0, 1.5],
    [0, -40, 0.7, 0.9, -0.2],
    [0.8, 0.1, 0, -0.6, 0.9],
  ],
  candidates: [4, 1, 0, 3],
  drafter: [
    [1, 1.4, 0, -1],
    [0, 0.5, 0.2, 1.6],
    [-1, 0, 2, 0.3],
    [0.4, 1, 0, 0.1],
    [0, 0, 1, 1],
  ],
};
/** The token that stands before every text. */
const START = 0;
/** Of the first token of every text. */
const POSITION = 10;
/** Graphs of one evaluation. */
const BATCH = 250;

/**
 * Texts of `length` tokens, one for each verifier (seed), decided round by round as the loop does it.
 *
 * @param draftTokens K, or a rule that chooses it from what is written
 * @param lengthOf what chooses K of a text's rounds instead, and is told what they came to
 */
export async function sampledTexts(
  pair: TablePair,
  verifiers: readonly Verifier[],
  {
    draftTokens = 0,
    lengthOf,
    length,
  }: {
    readonly draftTokens?: number | ((text: readonly number[]) => number);
    readonly lengthOf?: () => DraftLength;
    readonly length: number;
  },
): Promise<number[][]> {
  const target = matrix(pair.target);
  const drafter = matrix(pair.drafter);
  const candidates = fromInt32(Int32Array.from(pair.candidates), [1, pair.candidates.length]);
  const row = (table: MlxArray, token: MlxArray) => ops.take(table, token, 0);

  const propose = (
    bonus: MlxArray,
    { position, steps, pick }: Pick<DraftContext, "position" | "steps" | "pick">,
  ) => {
    const picked = [];
    let token = bonus;
    for (let step = 0; step < steps; step++) {
      const logits = ops.reshape(row(drafter, token), [1, pair.candidates.length]);
      const next = pickToken({ logits, tokens: candidates }, pick, position + 1 + step);
      picked.push(next);
      token = next.token;
    }
    const distributions = picked.flatMap(({ distribution }) => distribution ?? []);
    return {
      tokens: ops.concatenate(
        picked.map((p) => p.token),
        1,
      ),
      distributions,
    } satisfies Proposal;
  };

  /** The graph of one round after `text`; of the first token when there is none. */
  const verdict = (verifier: Verifier, text: readonly number[], chosen: DraftLength | undefined) =>
    scope(() => {
      const bonus = fromInt32(Int32Array.of(text.at(-1) ?? START), [1, 1]);
      const position = POSITION + text.length - 1;
      const ruled = typeof draftTokens === "number" ? draftTokens : draftTokens(text);
      const steps = text.length > 0 && chosen ? chosen.choose(MAX_DRAFT_TOKENS) : ruled;
      if (text.length === 0 || steps === 0) {
        return verifier.judge(row(target, bonus), { distributions: [] }, position);
      }
      const proposal = propose(bonus, { position, steps, pick: verifier.pick });
      const block = ops.concatenate([bonus, proposal.tokens], 1);
      return verifier.judge(row(target, block), proposal, position);
    });

  const texts: number[][] = verifiers.map(() => []);
  const lengths = verifiers.map(() => lengthOf?.());
  let open = [...texts.keys()];
  while (open.length > 0) {
    for (let begin = 0; begin < open.length; begin += BATCH) {
      const part = open.slice(begin, begin + BATCH);
      const verdicts = part.flatMap((index) => {
        const verifier = verifiers[index];
        return verifier ? [verdict(verifier, texts[index] ?? [], lengths[index])] : [];
      });
      await evaluate([verdicts]);
      for (const [i, index] of part.entries()) {
        const array = verdicts[i];
        const verifier = verifiers[index];
        if (!array || !verifier) continue;
        const { drafts, ...rest } = verifier.read(readInt32(array));
        const { accepted, tokens } = conclude({ drafts, ...rest });
        const first = texts[index]?.length === 0;
        if (!first) lengths[index]?.record({ proposed: drafts.length, accepted, ms: 1 + drafts.length / 4 });
        texts[index]?.push(...tokens);
        array.dispose();
      }
    }
    open = open.filter((index) => (texts[index]?.length ?? length) < length);
  }
  for (const array of [target, drafter, candidates]) array.dispose();
  return texts.map((text) => text.slice(0, length));
}

function matrix(table: Table): MlxArray {
  return fromFloat32(Float32Array.from(table.flat()), [table.length, table[0]?.length ?? 0]);
}

/** The target's own probability of every text of `length` tokens, in the order of {@link textIndex}. */
export function textProbabilities(target: Table, options: SamplingOptions, length: number): number[] {
  const rows = target.map((logits) => referenceProbabilities(logits, options));
  let texts = [{ last: START, p: 1 }];
  for (let place = 0; place < length; place++) {
    texts = texts.flatMap(({ last, p }) => (rows[last] ?? []).map((q, token) => ({ last: token, p: p * q })));
  }
  return texts.map(({ p }) => p);
}

/** The target's own probability of every `count` tokens in a row that begin at place `first`, in the same order. */
export function wordProbabilities(
  target: Table,
  options: SamplingOptions,
  first: number,
  count: number,
): number[] {
  const vocab = target.length;
  const whole = textProbabilities(target, options, first + count);
  const words = new Array<number>(vocab ** count).fill(0);
  for (const [index, p] of whole.entries()) {
    const word = index % words.length;
    words[word] = (words[word] ?? 0) + p;
  }
  return words;
}

/** How often each text came, in the same order. */
export function countTexts(texts: readonly (readonly number[])[], vocab: number, length: number): number[] {
  const counts = new Array<number>(vocab ** length).fill(0);
  for (const text of texts) {
    const index = text.reduce((sum, token) => sum * vocab + token, 0);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts;
}
