import { MlxGemmaError } from "../../errors.js";
import { type GenerationEvent, generate } from "../../generate.js";
import { type LoadedPair, load } from "../../load.js";
import { addon } from "../../mlx/addon.js";
import type { Warning } from "../../warnings.js";
import type { DoctorFlags } from "../commands/doctor.js";
import type { Finding, Look } from "./report.js";

/**
 * A prompt to which every token of the answer has a probability above 0.9: no instruction set, device or dtype can round
 * so differently that another one is taken. Few prompts of the embedded pair are so; a test holds it.
 */
export const PROMPT = "What is a fox?";
/** What the embedded pair answers, its end included. */
export const RECORDED: readonly number[] = [
  313, 1657, 431, 506, 3089, 449, 841, 1049, 418, 383, 1399, 294, 1446, 1001, 449, 475, 431, 2207, 294, 665,
  1151, 3819, 292, 402, 475, 431, 719, 676, 508, 4052, 421, 455, 1243, 1383, 362, 294, 1969, 459, 507, 903,
  402, 1230, 292, 459, 943, 789, 696, 1262, 383, 1399, 294, 6,
];

type EndEvent = Extract<GenerationEvent, { readonly type: "end" }>;

/** The embedded pair, drafted and plain, against the recorded ids. */
export function selfTest(
  { threads, strict, allow }: DoctorFlags,
  { signal, warn }: { readonly signal: AbortSignal; readonly warn: (warnings: readonly Warning[]) => void },
): Look {
  return {
    id: "self-test",
    what: "the embedded pair",
    cure: "run: npm run build; where it stays, report it with these lines",
    async run() {
      using pair = await load({ draft: "assistant", threads, strict, allow, signal });
      warn(pair.warnings);
      const promptIds = await pair.encodePrompt(PROMPT);
      // The first run pays for what is done once: its speed is no one's.
      await answer(pair, promptIds, 0, signal);
      const plain = await answer(pair, promptIds, 0, signal);
      const drafted = await answer(pair, promptIds, 3, signal);
      return findingOf(plain, drafted, addon().kernels() === "mlx");
    },
  };
}

/** @param elsewhere MLX's own operations run, on a device that nobody may have tried before */
export function findingOf(plain: EndEvent, drafted: EndEvent, elsewhere: boolean): Finding {
  const { exact } = drafted.stats;
  const facts = {
    exact,
    asRecorded: firstDifference(plain.tokenIds, RECORDED) < 0,
    draftedIsPlain: firstDifference(drafted.tokenIds, plain.tokenIds) < 0,
    plainTokensPerSecond: plain.stats.tokensPerSecond,
    draftedTokensPerSecond: drafted.stats.tokensPerSecond,
    acceptanceRate: drafted.stats.acceptanceRate,
  };
  const speed = `${facts.plainTokensPerSecond.toFixed(0)} tok/s, drafted ${facts.draftedTokensPerSecond.toFixed(0)} tok/s`;
  if (!facts.draftedIsPlain) {
    const place = firstDifference(drafted.tokenIds, plain.tokenIds);
    const found = `drafted text differs from plain text at token ${place}; exact: ${exact}`;
    if (exact !== "not exact") return { status: "fail", found, facts, cure: "report it with these lines" };
    return {
      status: "warn",
      found,
      facts,
      cure: "--draft none gives plain text; --require-exact refuses the device",
    };
  }
  if (!facts.asRecorded) {
    const place = firstDifference(plain.tokenIds, RECORDED);
    const found = `drafted text is plain text, and differs from the recorded one at token ${place}, which is no matter of rounding; ${speed}`;
    const cure = elsewhere
      ? "do not trust this device; report it with these lines"
      : "run: npm run build; where it stays, report it with these lines";
    return { status: elsewhere ? "warn" : "fail", found, facts, cure };
  }
  return { status: "ok", found: `the recorded ids, drafted and plain; exact: ${exact}; ${speed}`, facts };
}

async function answer(
  pair: LoadedPair,
  promptIds: readonly number[],
  draftTokens: number,
  signal: AbortSignal,
): Promise<EndEvent> {
  for await (const event of generate(pair, { promptIds, draftTokens, maxTokens: RECORDED.length, signal })) {
    if (event.type !== "end") continue;
    if (event.stopReason === "aborted") throw new MlxGemmaError("aborted", "the self-test was aborted");
    return event;
  }
  throw new Error("the generation ended without its end event");
}

/** -1 where they are the same. */
function firstDifference(a: readonly number[], b: readonly number[]): number {
  const place = a.findIndex((id, index) => id !== b[index]);
  return place < 0 && a.length !== b.length ? Math.min(a.length, b.length) : place;
}
