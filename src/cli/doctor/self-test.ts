import { MlxGemmaError } from "../../errors.js";
import { type GenerationEvent, generate } from "../../generate.js";
import { type LoadedPair, load } from "../../load.js";
import { addon } from "../../mlx/addon.js";
import type { Finding, Look } from "./report.js";

const PROMPT = "Tell me a story about a fox.";
/** What the embedded pair answers, as recorded with the CPU kernels in bf16. */
const RECORDED: readonly number[] = [
  752, 378, 1399, 292, 587, 591, 378, 758, 1657, 578, 1550, 294, 1550, 450, 719, 2207, 292, 402, 891, 921,
  777, 294, 427, 699, 1504, 493, 292, 1550, 1190, 634, 929, 402, 1072, 1110, 294, 1578, 383, 1408, 1508, 1295,
  292, 402, 378, 801, 858, 1454, 294, 495, 980, 1577, 549, 871, 449, 383, 1643, 879, 521, 1297, 477, 410, 383,
  944, 1564, 294,
];

type EndEvent = Extract<GenerationEvent, { readonly type: "end" }>;

/** The embedded pair, drafted and plain, against the recorded ids. */
export function selfTest(threads: number, signal: AbortSignal): Look {
  return {
    id: "self-test",
    what: "the embedded pair",
    cure: "run: npm run build; where it stays, report it with these lines",
    async run() {
      using pair = await load({ draft: "assistant", threads, signal });
      const promptIds = await pair.encodePrompt(PROMPT);
      // The first run pays for what is done once: its speed is no one's.
      await answer(pair, promptIds, 0, signal);
      const plain = await answer(pair, promptIds, 0, signal);
      const drafted = await answer(pair, promptIds, 3, signal);
      return findingOf(plain, drafted, addon().kernels() === "mlx");
    },
  };
}

/** @param elsewhere MLX's own operations run, whose bits are not the recorded ones' */
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
    const found = `drafted text is plain text, and differs from the recorded one at token ${firstDifference(plain.tokenIds, RECORDED)}; ${speed}`;
    if (elsewhere) return { status: "ok", found: `${found} (this device rounds otherwise)`, facts };
    return {
      status: "fail",
      found,
      facts,
      cure: "run: npm run build; where it stays, report it with these lines",
    };
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
