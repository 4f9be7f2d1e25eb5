import type { Drafter, Proposal } from "../drafter/drafter.js";
import { MlxGemmaError } from "../errors.js";
import {
  disposeAll,
  evaluate,
  fromInt32,
  type MlxArray,
  readFloat32,
  readInt32,
  scope,
} from "../mlx/array.js";
import * as ops from "../mlx/ops.js";
import type { Target, TargetSession } from "../target/target.js";
import { type Acceptance, conclude } from "./accept.js";
import { type Probabilities, readProbabilities } from "./probabilities.js";
import type { Verifier } from "./verifier.js";

/** What goes from round to round. */
export interface RoundState {
  /** The last accepted token, which the target has not processed. */
  readonly bonus: number;
  /** `last_hidden` of the position before it, (1, 1, H), evaluated. */
  readonly hidden: MlxArray;
}

/** Milliseconds of a round: building and running the drafts, the target's step, deciding, and what is left. */
export interface RoundTimes {
  readonly draft: number;
  readonly verify: number;
  readonly accept: number;
  readonly rest: number;
}

export interface RoundResult extends Acceptance {
  readonly proposed: number;
  /** All that were proposed. */
  readonly drafts: readonly number[];
  readonly state: RoundState;
  readonly times: RoundTimes;
  /** Where the verifier tells them. */
  readonly probabilities?: Probabilities;
}

/** The parts that a round works with; they stay the same for a whole generation. */
export interface RoundParts {
  readonly target: Pick<Target, "embed">;
  readonly session: TargetSession;
  readonly drafter: Drafter;
  readonly verifier: Verifier;
}

/**
 * One round: propose K → verify → accept → keep. The whole of it is one graph and one evaluation, whose verdict
 * is the only value read back (where the verifier tells probabilities, they are a second). Plain decoding is a round
 * with a drafter that proposes nothing.
 *
 * @param steps K, the number of tokens to propose.
 */
export async function runRound(parts: RoundParts, state: RoundState, steps: number): Promise<RoundResult> {
  const { target, session, drafter, verifier } = parts;
  const position = session.position;
  const start = performance.now();
  let drafted = start;
  let built = start;
  const graph = scope(() => {
    const bonus = fromInt32(Int32Array.of(state.bonus), [1, 1]);
    const proposal = drafter.propose({
      bonus,
      hidden: state.hidden,
      sharedKv: steps > 0 ? session.sharedKv() : {},
      position,
      steps,
      embed: (tokens) => target.embed(tokens),
      pick: verifier.pick,
    });
    drafted = performance.now();
    const block = proposal.tokens ? ops.concatenate([bonus, proposal.tokens], 1) : bonus;
    const { logits, lastHidden } = session.step(block);
    const verdict = verifier.judge(logits, proposal, position);
    const pending = session.pending();
    built = performance.now();
    return {
      drafts: proposal.tokens ? [proposal.tokens] : [],
      verdict,
      lastHidden,
      pending,
      probabilities: verifier.probabilities ? [verifier.probabilities(logits, proposal, verdict)] : [],
    };
  });
  state.hidden.dispose();
  const { drafts, verdict, lastHidden, pending, probabilities } = graph;
  try {
    const [draftMs = 0, verifyMs = 0] = await evaluate([
      drafts,
      [verdict, lastHidden, ...pending],
      probabilities,
    ]);
    const evaluated = performance.now();
    const decided = verifier.read(readInt32(verdict));
    const acceptance = conclude(decided);
    session.keep(acceptance.accepted + 1);
    const accept = performance.now() - evaluated;
    const told = toldOf(probabilities);
    const hidden = scope(() => rowOf(lastHidden, acceptance.accepted));
    const draft = drafted - start + draftMs;
    const verify = built - drafted + verifyMs;
    return {
      ...acceptance,
      proposed: decided.drafts.length,
      drafts: decided.drafts,
      ...told,
      state: { bonus: acceptance.bonus, hidden },
      times: { draft, verify, accept, rest: performance.now() - start - draft - verify - accept },
    };
  } finally {
    disposeAll([...drafts, verdict, lastHidden, ...pending, ...probabilities]);
  }
}

/**
 * The first token, from the prompt's last logits, which it takes over: a verdict without drafts.
 *
 * @throws MlxGemmaError `checkpoint` for logits that are no numbers: of them no token follows
 */
export async function firstToken(
  output: { readonly logits: MlxArray; readonly lastHidden: MlxArray },
  verifier: Verifier,
  promptLength: number,
): Promise<RoundState & Pick<RoundResult, "probabilities">> {
  const nothing: Proposal = { distributions: [] };
  const mine = [output.logits];
  try {
    const { verdict, largest, probabilities } = scope(() => {
      const verdict = verifier.judge(output.logits, nothing, promptLength - 1);
      // A NaN anywhere makes it one.
      const largest = ops.astype(ops.max(output.logits, -1, true), "float32");
      const probabilities = verifier.probabilities?.(output.logits, nothing, verdict);
      return { verdict, largest, probabilities: probabilities ? [probabilities] : [] };
    });
    mine.push(verdict, largest, ...probabilities);
    await evaluate([[verdict, largest], probabilities]);
    requireFinite(readFloat32(largest));
    const { bonus } = conclude(verifier.read(readInt32(verdict)));
    return { bonus, hidden: output.lastHidden, ...toldOf(probabilities) };
  } catch (error) {
    mine.push(output.lastHidden);
    throw error;
  } finally {
    disposeAll(mine);
  }
}

function requireFinite(largest: Float32Array): void {
  const strange = largest.find((value) => !Number.isFinite(value));
  if (strange === undefined) return;
  throw new MlxGemmaError(
    "checkpoint",
    `the prompt's logits: expected numbers, found ${strange}: weights are broken (mlx-gemma inspect-weights --check finds them), or values overflow in this dtype (give another --dtype)`,
  );
}

/** Reads what the verifier told, if it did. */
function toldOf([array]: readonly MlxArray[]): Pick<RoundResult, "probabilities"> {
  return array ? { probabilities: readProbabilities(readFloat32(array)) } : {};
}

/** Row `row` of (1, T, H) as (1, 1, H). */
function rowOf(hidden: MlxArray, row: number): MlxArray {
  const [, , width = 0] = hidden.shape;
  return ops.slice(hidden, [0, row, 0], [1, row + 1, width]);
}
