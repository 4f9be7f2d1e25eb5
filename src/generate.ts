import { checkOptions } from "./check-options.js";
import type { Drafter } from "./drafter/drafter.js";
import { MlxGemmaError } from "./errors.js";
import type { LoadedPair } from "./load.js";
import { DEFAULTS, type DraftTokens, type GenerateOptions, MAX_DRAFT_TOKENS } from "./options.js";
import { leaseOf } from "./prompt-cache.js";
import {
  AdaptiveLength,
  type DraftLength,
  type DraftLengthMemory,
  fixedLength,
  newMemory,
} from "./speculative/draft-length.js";
import { noDrafter } from "./speculative/no-drafter.js";
import { type Probabilities, withProbabilities } from "./speculative/probabilities.js";
import {
  firstToken,
  type RoundResult,
  type RoundState,
  type RoundTimes,
  runRound,
} from "./speculative/round.js";
import { checkSampling, GREEDY, type SamplingOptions } from "./speculative/sampling.js";
import { type GenerationStats, StatsCollector } from "./speculative/stats.js";
import { greedyVerifier, samplingVerifier, type Verifier } from "./speculative/verifier.js";
import type { StepOutput } from "./target/target.js";
import { refuseMediaTokens } from "./text/media.js";
import { type StopReason, type TextPiece, TokenSink } from "./text/sink.js";
import { checkAllowed, type Warning, WarningList } from "./warnings.js";
import { whileRunning } from "./while-running.js";

export type { StopReason, TextPiece };

/** What a round did, for {@link GenerateOptions.trace}. */
export interface TracedRound {
  /** Position of the first id that the round decides. */
  readonly position: number;
  /** Milliseconds from the call to the round's beginning. */
  readonly startMs: number;
  /** Milliseconds; of the first round `verify` is the whole of reading the prompt. */
  readonly times: RoundTimes;
  /** All that were proposed, 0 … K ids. */
  readonly drafts: readonly number[];
  /** How many of them were right: the longest prefix. The end of the answer may cut it. */
  readonly accepted: number;
  readonly probabilities: Probabilities;
}

export type GenerationEvent =
  | { readonly type: "prefill"; readonly done: number; readonly total: number }
  | {
      readonly type: "tokens";
      readonly ids: readonly number[];
      readonly pieces: readonly TextPiece[];
      /** With `trace`: the round that decided these ids; of the first id, which the prompt decides, without drafts. */
      readonly round?: TracedRound;
    }
  | {
      readonly type: "end";
      readonly stopReason: StopReason;
      /** The whole answer; empty where the folder has no tokenizer. */
      readonly text: string;
      /** Ids that were decided, the end-of-sequence token included when it ended the answer. */
      readonly tokenIds: readonly number[];
      readonly stats: GenerationStats;
      /** Of this generation; those of the pair are in `LoadedPair.warnings`. */
      readonly warnings: readonly Warning[];
    };

/**
 * Generates with a loaded pair: `prefill` events while the prompt is read, `tokens` after each round, one `end`. The
 * same prompt, options and seed give the same tokens; in greedy mode they are those of plain decoding, whatever the
 * drafter and K, and whatever a `cache` holds. Leaving the loop early frees the generation's memory.
 *
 * @throws MlxGemmaError `usage` for options out of range, `context` for a prompt that does not fit, `disposed` after
 * the pair was disposed, `strict` for a warning where it is asked for, `checkpoint` for weights that make NaN of a prompt.
 */
export async function* generate(
  pair: LoadedPair,
  options: GenerateOptions,
): AsyncGenerator<GenerationEvent, void> {
  const settled = settle(pair, options);
  const { prompt, draftTokens, length, maxTokens, chunkSize, signal, stop, verifier, drafter } = settled;
  const mostDrafts = draftTokens === "auto" ? MAX_DRAFT_TOKENS : draftTokens;
  using lease = leaseOf(pair.target, prompt, options.cache ?? mostDrafts + 1);
  const { session } = lease;
  const sink = new TokenSink(pair.tokenizer?.detokenizer(options.specialTokens), {
    eosTokenIds: options.ignoreEos ? [] : pair.eosTokenIds,
    stop,
    maxTokens,
  });
  const stats = new StatsCollector();
  const warnings = new WarningList(options);
  const clock = new Clock();
  let state: RoundState | undefined;
  let stopReason: StopReason | undefined;

  try {
    const output = yield* whileRunning<GenerationEvent, StepOutput>((report) =>
      lease.prefill({
        chunkSize,
        ...(signal ? { signal } : {}),
        onProgress: (done, total) => report({ type: "prefill", done, total }),
      }),
    );
    clock.prompt();
    const decided = await firstToken(output, verifier, prompt.length);
    state = decided;
    stats.addFirst();
    const first = sink.push([decided.bonus], 0);
    stopReason = first.stopReason;
    clock.first();
    const times = { draft: 0, verify: clock.times.timeToFirstTokenMs, accept: 0, rest: 0 };
    const ofPrompt = { ...decided, drafts: [], accepted: 0, times };
    yield {
      type: "tokens",
      ids: first.ids,
      pieces: first.pieces,
      ...traced(ofPrompt, { position: prompt.length, startMs: 0 }),
    };
    while (!stopReason) {
      const room = pair.target.maxPositionEmbeddings - session.position;
      if (signal?.aborted) stopReason = "aborted";
      else if (room <= 0) stopReason = "context full";
      if (stopReason) break;
      const left = maxTokens - sink.ids.length - 1;
      // auto asks for no K in particular.
      if (draftTokens !== "auto" && Math.min(draftTokens, left) > room - 1) {
        warnings.add("draft-tokens-cut", draftsCut(room - 1, draftTokens));
      }
      const start = { position: session.position + 1, startMs: clock.resume() };
      const steps = length.choose(Math.min(left, room - 1));
      const round = await runRound({ target: pair.target, session, drafter, verifier }, state, steps);
      if (steps > 0 && round.proposed === 0) {
        throw new MlxGemmaError(
          "native",
          `the drafter proposed nothing where ${steps} tokens were asked for`,
        );
      }
      lease.wrote([state.bonus, ...round.tokens.slice(0, -1)]);
      state = round.state;
      const { proposed, accepted, times } = round;
      length.record({ proposed, accepted, ms: times.draft + times.verify + times.accept + times.rest });
      const taken = sink.push(round.tokens, round.accepted);
      stopReason = taken.stopReason;
      stats.addRound(round, taken.ids.length);
      clock.pause();
      yield { type: "tokens", ids: taken.ids, pieces: taken.pieces, ...traced(round, start) };
    }
  } catch (error) {
    if (!(error instanceof MlxGemmaError && error.code === "aborted")) throw error;
    stopReason = "aborted";
  } finally {
    state?.hidden.dispose();
  }
  if (stopReason === "context full") {
    warnings.add(
      "context-full",
      `the answer ends here: the model has no more than ${pair.target.maxPositionEmbeddings} positions; shorten the prompt`,
    );
  }
  const plainRounds = stats.plainRounds;
  if (draftTokens === "auto" && stats.rounds >= LONG && plainRounds >= HARDLY_DRAFTED * stats.rounds) {
    warnings.add(
      "drafting-does-not-pay",
      `drafting does not pay here: ${plainRounds} of ${stats.rounds} rounds were plain decoding; --draft none saves the assistant's memory`,
    );
  }
  const rest = sink.finish();
  if (rest.length > 0) yield { type: "tokens", ids: [], pieces: rest };
  yield {
    type: "end",
    stopReason: stopReason ?? "aborted",
    text: sink.text,
    tokenIds: sink.ids,
    stats: stats.summarize({
      promptTokens: prompt.length,
      cachedPromptTokens: lease.reused,
      ...clock.times,
      draftTokens,
      adaptive: length.summarize(),
      exact: pair.exact,
    }),
    warnings: warnings.all,
  };
}

/** Rounds of an answer that tell whether drafting pays, and the share of them without drafts from which it does not. */
const LONG = 32;
const HARDLY_DRAFTED = 0.9;

function draftsCut(room: number, draftTokens: number): string {
  return `${room === 0 ? "nothing is" : `at most ${room} tokens are`} proposed from here on instead of ${draftTokens}: the context ends`;
}

/** What a `tokens` event says of its round, where probabilities were asked for. */
function traced(
  {
    probabilities,
    drafts,
    accepted,
    times,
  }: Pick<RoundResult, "probabilities" | "drafts" | "accepted" | "times">,
  start: Pick<TracedRound, "position" | "startMs">,
): { readonly round?: TracedRound } {
  return probabilities ? { round: { ...start, drafts, accepted, times, probabilities } } : {};
}

/** Times of a generation. Decoding counts while a round runs, not while the reader of the events is busy. */
class Clock {
  readonly #start = performance.now();
  #resumed = this.#start;
  readonly times = { prefillMs: 0, timeToFirstTokenMs: 0, decodeMs: 0 };

  prompt(): void {
    this.times.prefillMs = performance.now() - this.#start;
  }

  first(): void {
    this.times.timeToFirstTokenMs = performance.now() - this.#start;
  }

  /** @returns milliseconds from the call to now */
  resume(): number {
    this.#resumed = performance.now();
    return this.#resumed - this.#start;
  }

  pause(): void {
    this.times.decodeMs += performance.now() - this.#resumed;
  }
}

/** Checks the options against the pair and fills in defaults. */
function settle(pair: LoadedPair, options: GenerateOptions) {
  const bad = (message: string) => new MlxGemmaError("usage", message);
  checkOptions("generate", options);
  checkAllowed(options.allow);
  const draftTokens = options.draftTokens ?? (pair.drafter ? DEFAULTS.draftTokens : 0);
  const isK =
    Number.isInteger(draftTokens) && Number(draftTokens) >= 0 && Number(draftTokens) <= MAX_DRAFT_TOKENS;
  if (draftTokens !== "auto" && !isK) {
    throw bad(
      `draft-tokens must be auto or a whole number from 0 to ${MAX_DRAFT_TOKENS}; got ${draftTokens}`,
    );
  }
  if (draftTokens !== 0 && !pair.drafter) {
    throw bad(
      `draft-tokens is ${draftTokens}, but no assistant is loaded; give --draft assistant or a folder`,
    );
  }
  const { maxTokens = DEFAULTS.maxTokens, chunkSize = DEFAULTS.chunkSize, stop = [], signal } = options;
  for (const [name, value] of Object.entries({ "max-tokens": maxTokens, "chunk-size": chunkSize })) {
    if (!Number.isInteger(value) || value < 1) {
      throw bad(`${name} must be a whole number of at least 1; got ${value}`);
    }
  }
  const { vocabSize, maxPositionEmbeddings } = pair.target;
  if (options.promptIds.length === 0) throw bad("the prompt is empty: at least one token is needed");
  const stranger = options.promptIds.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  if (stranger !== undefined) {
    throw bad(`prompt token id ${stranger} is not in the vocabulary (0 … ${vocabSize - 1})`);
  }
  refuseMediaTokens(options.promptIds, pair.mediaTokenIds ?? {});
  if (options.promptIds.length >= maxPositionEmbeddings) {
    throw new MlxGemmaError(
      "context",
      `the prompt has ${options.promptIds.length} tokens, the model has positions for ${maxPositionEmbeddings}, answer included; shorten the prompt`,
    );
  }
  if (stop.some((text) => text === "")) throw bad("a stop text must not be empty");
  if (stop.length > 0 && !pair.tokenizer) {
    throw bad("stop texts need a tokenizer, and the model's folder has none");
  }
  const { temperature, topK, topP, minP, seed } = { ...GREEDY, ...defined(options) };
  const sampling = checkSampling({ temperature, topK, topP, minP, seed });
  const judging: Verifier = temperature > 0 ? samplingVerifier(sampling) : greedyVerifier;
  const verifier = options.trace ? withProbabilities(judging) : judging;
  const drafter: Drafter = draftTokens !== 0 && pair.drafter ? pair.drafter : noDrafter;
  // Where a draw depends on what was drafted, a seed that was asked for must not depend on a clock.
  const repeatable = temperature > 0 && options.seed !== undefined;
  const length = lengthOf(pair, draftTokens, repeatable);
  const prompt = Int32Array.from(options.promptIds);
  return { prompt, draftTokens, length, maxTokens, chunkSize, signal, stop, verifier, drafter };
}

const MEMORIES = new WeakMap<LoadedPair, DraftLengthMemory>();

/** What chooses K; with `auto`, generations of one pair learn from those before, unless they must be repeatable. */
function lengthOf(pair: LoadedPair, draftTokens: DraftTokens, repeatable: boolean): DraftLength {
  if (draftTokens !== "auto") return fixedLength(draftTokens);
  if (repeatable) return new AdaptiveLength(MAX_DRAFT_TOKENS);
  const memory = MEMORIES.get(pair) ?? newMemory();
  MEMORIES.set(pair, memory);
  return new AdaptiveLength(MAX_DRAFT_TOKENS, memory);
}

/** Without keys whose value is undefined, which would hide a default. */
function defined(options: GenerateOptions): Partial<SamplingOptions> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
