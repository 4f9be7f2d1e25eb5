import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate, type StopReason, type TracedRound } from "../../../src/generate.js";
import { type LoadedPair, load } from "../../../src/load.js";
import { addon } from "../../../src/mlx/addon.js";
import { type GenerateOptions, MAX_DRAFT_TOKENS } from "../../../src/options.js";
import { PromptCache } from "../../../src/prompt-cache.js";
import type { GenerationStats } from "../../../src/speculative/stats.js";
import { firstDifference } from "../../support/generation.js";
import { randoms } from "../../target/helpers.js";
import { type Configuration, chunkSizeOf, dtypeOf, promptLength, samplingOf } from "./configuration.js";
import { firstOtherDraft } from "./fresh-drafts.js";
import { VOCAB } from "./model.js";
import { expectedRounds, type KnownText, oracleDrafter } from "./oracle-drafter.js";
import { Reference, type ReferenceCheck } from "./reference/check.js";
import { writePair } from "./write-pair.js";

/**
 * Who finds a defect: `text` plain decoding with ours; `account` counting by hand; `drafts` the same drafter on a fresh
 * session; `reference` the same numbers in float64, without MLX.
 */
export type Judge = "text" | "account" | "drafts" | "reference";

/** A case that does not hold. */
export class Finding extends Error {
  constructor(
    readonly judge: Judge,
    message: string,
  ) {
    super(`${judge}: ${message}`);
    this.name = "Finding";
  }
}

/** What a case went through, for the table at the end. */
export interface TrialReport {
  readonly tokens: number;
  readonly distinct: number;
  readonly stopReason: StopReason;
  readonly rounds: number;
  readonly proposed: number;
  readonly accepted: number;
  /** Rounds that kept some drafts and rejected others. */
  readonly partly: number;
  readonly pastWindow: boolean;
  readonly cachedPromptTokens: number;
  /** Draft rounds that were held against fresh ones. */
  readonly fresh: number;
  /** Rows whose token the float64 reference confirms. */
  readonly reference: number;
}

/** What a test may put between loop and model: a defect on purpose. */
export type Tamper = (
  pair: LoadedPair,
  configuration: Configuration,
  /** The target's. */
  folder: string,
) => Promise<LoadedPair>;

/** Answers of one run. */
export interface Answer {
  readonly tokenIds: readonly number[];
  readonly text: string;
  readonly stopReason: StopReason;
  readonly stats: GenerationStats;
  readonly rounds: readonly TracedRound[];
}

/**
 * Writes the pair, loads it and generates: plain, drafted by its assistant, drafted by an oracle.
 *
 * @param plant a defect in what drafted runs work with, or plain ones too
 * @throws Finding where they differ
 */
export async function tryOut(
  configuration: Configuration,
  plant?: { readonly tamper: Tamper; readonly everywhere?: true },
): Promise<TrialReport> {
  const folder = mkdtempSync(join(tmpdir(), "mlx-gemma-fuzz-"));
  try {
    const written = writePair(configuration, folder);
    const { threads } = configuration.run;
    const dtype = dtypeOf(configuration);
    const { folder: model } = written.target;
    using pair = await load({ model, draft: written.assistant.folder, dtype, threads });
    if (!plant) return await judge(configuration, { plain: pair, drafting: pair }, written);
    using drafting = await plant.tamper(pair, configuration, model);
    return await judge(configuration, { plain: plant.everywhere ? drafting : pair, drafting }, written);
  } finally {
    addon().setThreads(0);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function judge(
  configuration: Configuration,
  { plain: pair, drafting }: { readonly plain: LoadedPair; readonly drafting: LoadedPair },
  written: ReturnType<typeof writePair>,
): Promise<TrialReport> {
  const { run, model } = configuration;
  const promptIds = promptOf(configuration);
  const sampling = samplingOf(configuration);
  const base: GenerateOptions = {
    ...sampling,
    promptIds,
    maxTokens: run.maxTokens,
    chunkSize: chunkSizeOf(configuration),
  };
  const whole = await answer(pair, { ...base, draftTokens: 0 });
  const end = endOf(configuration, whole);
  const stop = end.stop ? [end.stop] : [];
  const ending = (source: LoadedPair): LoadedPair => ({
    ...source,
    eosTokenIds: end.eos === undefined ? [] : [end.eos],
  });
  const plain =
    end.stop || end.eos !== undefined ? await answer(ending(pair), { ...base, stop, draftTokens: 0 }) : whole;
  const options: GenerateOptions = { ...base, stop, draftTokens: run.draftTokens, trace: run.trace };

  const known: KnownText = {
    promptLength: promptIds.length,
    ids: whole.tokenIds,
    vocab: VOCAB,
    wrong: errsAt(run.noise, run.prompt.seed),
  };
  const assisted = await drafted(configuration, ending(drafting), options);
  const oracle = oracleDrafter(known);
  const guided = await drafted(configuration, ending({ ...drafting, drafter: oracle }), options);
  let partly = 0;
  if (run.sampling === "sampled") {
    // The same seed and K, in other chunks and on one thread: the same draws.
    const again = await answer(ending(drafting), { ...options, chunkSize: chunkSizeOf(configuration) + 7 });
    mustEqual("sampled again", assisted, again);
  } else {
    mustEqual("drafted by the assistant", assisted, plain);
    mustEqual("drafted by the oracle", guided, plain);
    // How many rounds auto takes depends on the clock: only a fixed K can be counted.
    const { draftTokens } = run;
    if (draftTokens !== "auto") {
      const expected = expectedRounds(
        { ...known, ids: plain.tokenIds },
        {
          draftTokens,
          maxTokens: run.maxTokens,
          positions: pair.target.maxPositionEmbeddings,
        },
      );
      partly = expected.partly;
      const { targetSteps: rounds, proposed, accepted } = guided.stats;
      const found = { rounds, proposed, accepted, partly };
      if (JSON.stringify(found) !== JSON.stringify(expected)) {
        throw new Finding(
          "account",
          `oracle: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`,
        );
      }
    }
  }
  for (const one of [plain, assisted, guided]) mustAddUp(one);

  const { tokenIds } = plain;
  const numbers =
    dtypeOf(configuration) === "f32" && run.sampling === "greedy"
      ? new Reference(configuration, written, promptIds, tokenIds)
      : undefined;
  let rows = mustHold("reference", numbers?.checkText());
  const rounds = assisted.rounds.filter(({ drafts }) => drafts.length > 0);
  if (run.sampling === "greedy" && pair.drafter) {
    const text = { promptIds, tokenIds, rounds, window: model.window };
    const difference = await firstOtherDraft(pair.target, pair.drafter, text);
    if (difference) throw new Finding("drafts", difference);
    rows += mustHold("reference", numbers?.checkDrafts(rounds));
  }
  return {
    tokens: plain.tokenIds.length,
    distinct: new Set(plain.tokenIds).size,
    stopReason: plain.stopReason,
    rounds: assisted.stats.targetSteps + guided.stats.targetSteps,
    proposed: assisted.stats.proposed + guided.stats.proposed,
    accepted: assisted.stats.accepted + guided.stats.accepted,
    partly,
    pastWindow: promptIds.length + plain.tokenIds.length > model.window,
    cachedPromptTokens: assisted.stats.cachedPromptTokens,
    fresh: run.sampling === "greedy" ? rounds.length : 0,
    reference: rows,
  };
}

/** Runs a generation to its end; what its events say must be what its end says. */
async function answer(pair: LoadedPair, options: GenerateOptions): Promise<Answer> {
  const ids: number[] = [];
  const rounds: TracedRound[] = [];
  let streamed = "";
  for await (const event of generate(pair, options)) {
    if (event.type === "tokens") {
      ids.push(...event.ids);
      streamed += event.pieces.map(({ text }) => text).join("");
      if (event.round) rounds.push(event.round);
    }
    if (event.type !== "end") continue;
    const { tokenIds, text, stopReason, stats } = event;
    const difference = firstDifference(ids, tokenIds);
    if (difference) throw new Finding("text", `events and end differ at ${difference}`);
    if (streamed !== text)
      throw new Finding("text", `streamed ${quote(streamed)}, in the end ${quote(text)}`);
    return { tokenIds, text, stopReason, stats, rounds };
  }
  throw new Finding("text", "the generation had no end event");
}

/** A drafted run, maybe on a cache that an earlier one left. */
async function drafted({ run }: Configuration, pair: LoadedPair, options: GenerateOptions): Promise<Answer> {
  if (run.cache === "none") return answer(pair, options);
  using cache = new PromptCache(pair);
  const { promptIds } = options;
  const parted = [...promptIds.slice(0, promptIds.length >> 1), run.prompt.seed % VOCAB];
  const before = run.cache === "same" ? promptIds : parted;
  await answer(pair, { ...options, promptIds: before, maxTokens: 4, stop: [], trace: false, cache });
  return answer(pair, { ...options, cache });
}

/** The prompt's ids. */
export function promptOf(configuration: Configuration): number[] {
  const random = randoms(configuration.run.prompt.seed);
  return Array.from({ length: promptLength(configuration) }, () => random(VOCAB));
}

/** Which positions the oracle gets wrong: of a hundred so many. */
function errsAt(percent: number, seed: number): (position: number) => boolean {
  return (position) => randoms(Math.imul(position + 1, 0x9e3779b1) ^ seed)(100) < percent;
}

/** What ends the answer, taken from the plain one, so that it does come. */
function endOf({ run }: Configuration, { tokenIds, text }: Answer): { eos?: number; stop?: string } {
  if (run.end === "eos") {
    const eos = tokenIds[Math.floor((run.endAt / 100) * tokenIds.length)];
    return eos === undefined ? {} : { eos };
  }
  if (run.end !== "stop string") return {};
  const characters = [...text];
  const at = Math.floor((run.endAt / 100) * characters.length);
  const stop = characters.slice(at, at + 1 + (run.endAt % 3)).join("");
  return stop === "" ? {} : { stop };
}

function mustHold(judge: Judge, check: ReferenceCheck = { rows: 0 }): number {
  if (check.difference) throw new Finding(judge, check.difference);
  return check.rows;
}

function mustEqual(what: string, found: Answer, expected: Answer): void {
  const ids = firstDifference(found.tokenIds, expected.tokenIds);
  if (ids) throw new Finding("text", `${what}: ${ids}`);
  if (found.text !== expected.text) {
    throw new Finding("text", `${what}: ${quote(found.text)} instead of ${quote(expected.text)}`);
  }
  if (found.stopReason !== expected.stopReason) {
    throw new Finding("text", `${what}: ended by ${found.stopReason} instead of ${expected.stopReason}`);
  }
}

/** Each round decides its accepted drafts and one token more, of which the end may cut some. */
function mustAddUp({ stats, tokenIds }: Answer): void {
  const { tokens, targetSteps, proposed, accepted, draftTokens, acceptanceByPosition, roundsByDraftTokens } =
    stats;
  const most = draftTokens === "auto" ? MAX_DRAFT_TOKENS : draftTokens;
  const own = tokens - 1 - accepted;
  const good =
    tokens === tokenIds.length &&
    accepted <= proposed &&
    proposed <= targetSteps * most &&
    own <= targetSteps &&
    own >= targetSteps - 1 &&
    acceptanceByPosition.length <= most &&
    roundsByDraftTokens.reduce((sum, n) => sum + n, 0) === targetSteps;
  if (!good) {
    const counts = { tokens, ids: tokenIds.length, targetSteps, proposed, accepted, draftTokens };
    throw new Finding("account", `the account does not add up: ${JSON.stringify(counts)}`);
  }
}

const quote = (text: string): string => JSON.stringify(text);
