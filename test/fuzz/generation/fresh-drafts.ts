import type { Drafter } from "../../../src/drafter/drafter.js";
import type { TracedRound } from "../../../src/generate.js";
import { evaluate, fromInt32, readInt32, scope } from "../../../src/mlx/array.js";
import type { SharedKv, Target } from "../../../src/target/target.js";

/** What a drafted run left: the text that stood before and after, and every round's drafts. */
export interface DraftedRun {
  readonly promptIds: readonly number[];
  readonly tokenIds: readonly number[];
  readonly rounds: readonly Pick<TracedRound, "position" | "drafts">[];
  readonly window: number;
}

/**
 * Holds every round's drafts against those that the same drafter makes afresh: from a session that has only ever read
 * the accepted text, token by token. A rejected key, a stale hidden row, a wrong position, embedding or window given to
 * the drafter changes no text; it shows here.
 *
 * @returns the first difference in words
 */
export async function firstOtherDraft(
  target: Target,
  drafter: Drafter,
  { promptIds, tokenIds, rounds, window }: DraftedRun,
): Promise<string | undefined> {
  const ids = Int32Array.from([...promptIds, ...tokenIds]);
  using session = target.openSession(1);
  let output = await session.prefill(ids.subarray(0, promptIds.length));
  try {
    for (const { position, drafts } of rounds) {
      if (drafts.length === 0) continue;
      const bonus = position - 1;
      while (session.position < bonus) {
        const at = session.position;
        const { next, pending } = scope(() => ({
          next: session.step(fromInt32(ids.subarray(at, at + 1), [1, 1])),
          pending: session.pending(),
        }));
        await evaluate([[next.logits, next.lastHidden, ...pending]]);
        for (const array of [output.logits, output.lastHidden, ...pending]) array.dispose();
        session.keep(1);
        output = next;
      }
      const sharedKv = session.sharedKv();
      const wrong = wrongRows(sharedKv, bonus, window);
      if (wrong) return wrong;
      const proposal = scope(() => {
        const { tokens } = drafter.propose({
          bonus: fromInt32(ids.subarray(bonus, position), [1, 1]),
          hidden: output.lastHidden,
          sharedKv,
          position: bonus,
          steps: drafts.length,
          embed: (tokens) => target.embed(tokens),
          pick: { kind: "greedy" },
        });
        return { tokens };
      });
      if (!proposal.tokens) return "nothing was proposed";
      await evaluate([[proposal.tokens]]);
      const fresh = [...readInt32(proposal.tokens)];
      for (const pair of [sharedKv.full_attention, sharedKv.sliding_attention]) {
        for (const array of pair ? [pair.keys, pair.values] : []) array.dispose();
      }
      proposal.tokens.dispose();
      if (fresh.join() !== drafts.join()) {
        return `position ${bonus}: drafted ${drafts.join(" ")}, afresh ${fresh.join(" ")}`;
      }
    }
    return undefined;
  } finally {
    for (const array of [output.logits, output.lastHidden]) array.dispose();
  }
}

/** The rule on which keys a drafter sees: all before the bonus token, on sliding layers those within the window. */
function wrongRows(shared: SharedKv, bonus: number, window: number): string | undefined {
  const wanted = { full_attention: bonus, sliding_attention: Math.min(bonus, window - 1) };
  for (const type of ["full_attention", "sliding_attention"] as const) {
    const rows = shared[type]?.keys.shape[2];
    if (rows !== undefined && rows !== wanted[type]) {
      return `position ${bonus}: ${rows} ${type} keys are exported instead of ${wanted[type]}`;
    }
  }
  return undefined;
}
