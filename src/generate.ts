import type { Drafter } from "./drafter/drafter.js";
import { MlxGemmaError } from "./errors.js";
import type { LoadedPair } from "./load.js";
import { noDrafter } from "./speculative/no-drafter.js";
import { firstToken, type RoundState, runRound } from "./speculative/round.js";
import { checkSampling, GREEDY, type SamplingOptions } from "./speculative/sampling.js";
import { type GenerationStats, StatsCollector } from "./speculative/stats.js";
import { greedyVerifier, samplingVerifier, type Verifier } from "./speculative/verifier.js";
import { TokenSink } from "./text/sink.js";

/** The most tokens that a round may propose. */
export const MAX_DRAFT_TOKENS = 15;

export interface GenerateOptions extends Partial<SamplingOptions> {
  /** Token ids as they are; nothing is added. */
  readonly promptIds: readonly number[];
  /** K, drafts a round: 0 … 15; default 3 with an assistant, 0 without. */
  readonly draftTokens?: number;
  /** Default 512. */
  readonly maxTokens?: number;
  /** Texts that end the answer; they are not part of it. */
  readonly stop?: readonly string[];
  /** Go on past end-of-sequence tokens. */
  readonly ignoreEos?: boolean;
  /** Prompt tokens of one evaluation; default 512. */
  readonly chunkSize?: number;
  /** Ends the generation between rounds; what there is comes with the `end` event. */
  readonly signal?: AbortSignal;
}

export type StopReason = "eos" | "stop string" | "max tokens" | "context full" | "aborted";

/** A piece of text and where it came from. */
export interface TextPiece {
  readonly text: string;
  /** An accepted draft, rather than the target's own token. */
  readonly drafted: boolean;
}

export type GenerationEvent =
  | { readonly type: "prefill"; readonly done: number; readonly total: number }
  | { readonly type: "tokens"; readonly ids: readonly number[]; readonly pieces: readonly TextPiece[] }
  | {
      readonly type: "end";
      readonly stopReason: StopReason;
      /** The whole answer; empty where the folder has no tokenizer. */
      readonly text: string;
      /** Ids that were decided, the end-of-sequence token included when it ended the answer. */
      readonly tokenIds: readonly number[];
      readonly stats: GenerationStats;
    };

/**
 * Generates with a loaded pair. The same prompt, options and seed give the same tokens; in greedy mode they are
 * those of plain decoding, whatever the drafter and K.
 *
 * @throws MlxGemmaError `usage` for options out of range, `context` for a prompt that does not fit.
 */
export async function* generate(
  pair: LoadedPair,
  options: GenerateOptions,
): AsyncGenerator<GenerationEvent, void> {
  const { draftTokens, maxTokens, verifier, drafter } = settle(pair, options);
  const start = performance.now();
  const prompt = Int32Array.from(options.promptIds);
  const progress: GenerationEvent[] = [];
  using session = pair.target.openSession(draftTokens + 1);
  const sink = new TokenSink(pair.tokenizer, {
    eosTokenIds: options.ignoreEos ? [] : pair.eosTokenIds,
    stop: options.stop ?? [],
    maxTokens,
  });
  const stats = new StatsCollector();
  let prefillMs = 0;
  let firstAt = start;
  let state: RoundState | undefined;
  let stopReason: StopReason | undefined;

  const take = (ids: readonly number[], drafted: number) => {
    const result = sink.push(ids, drafted);
    stopReason = result.stopReason;
    return result;
  };
  try {
    const output = await session.prefill(prompt, {
      chunkSize: options.chunkSize ?? 512,
      ...(options.signal ? { signal: options.signal } : {}),
      onProgress: (done, total) => progress.push({ type: "prefill", done, total }),
    });
    yield* progress.splice(0);
    prefillMs = performance.now() - start;
    state = await firstToken(output, verifier, prompt.length);
    firstAt = performance.now();
    stats.addFirst();
    const first = take([state.bonus], 0);
    yield { type: "tokens", ids: first.ids, pieces: first.pieces };
    while (!stopReason) {
      if (options.signal?.aborted) {
        stopReason = "aborted";
        break;
      }
      const room = pair.target.maxPositionEmbeddings - session.position;
      if (room <= 0) {
        stopReason = "context full";
        break;
      }
      const steps = Math.min(draftTokens, maxTokens - sink.ids.length - 1, room - 1);
      const round = await runRound({ target: pair.target, session, drafter, verifier }, state, steps);
      state = round.state;
      const taken = take(round.tokens, round.accepted);
      stats.addRound(round, taken.ids.length);
      yield { type: "tokens", ids: taken.ids, pieces: taken.pieces };
    }
  } catch (error) {
    if (!(error instanceof MlxGemmaError && error.code === "aborted")) throw error;
    stopReason = "aborted";
  } finally {
    state?.hidden.dispose();
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
      prefillMs,
      timeToFirstTokenMs: firstAt - start,
      decodeMs: performance.now() - firstAt,
      draftTokens,
      exact: pair.exact,
    }),
  };
}

/** Checks the options against the pair and fills in defaults. */
function settle(pair: LoadedPair, options: GenerateOptions) {
  const bad = (message: string) => new MlxGemmaError("usage", message);
  const draftTokens = options.draftTokens ?? (pair.drafter ? 3 : 0);
  if (!Number.isInteger(draftTokens) || draftTokens < 0 || draftTokens > MAX_DRAFT_TOKENS) {
    throw bad(`draft-tokens must be a whole number from 0 to ${MAX_DRAFT_TOKENS}; got ${draftTokens}`);
  }
  if (draftTokens > 0 && !pair.drafter) {
    throw bad(
      `draft-tokens is ${draftTokens}, but no assistant is loaded; give --draft assistant or a folder`,
    );
  }
  const maxTokens = options.maxTokens ?? 512;
  if (!Number.isInteger(maxTokens) || maxTokens < 1) {
    throw bad(`max-tokens must be a whole number of at least 1; got ${maxTokens}`);
  }
  const { vocabSize, maxPositionEmbeddings } = pair.target;
  if (options.promptIds.length === 0) throw bad("the prompt is empty: at least one token is needed");
  const stranger = options.promptIds.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  if (stranger !== undefined) {
    throw bad(`prompt token id ${stranger} is not in the vocabulary (0 … ${vocabSize - 1})`);
  }
  if (options.promptIds.length >= maxPositionEmbeddings) {
    throw new MlxGemmaError(
      "context",
      `the prompt has ${options.promptIds.length} tokens, the model has positions for ${maxPositionEmbeddings}`,
    );
  }
  if ((options.stop ?? []).some((text) => text === "")) throw bad("a stop text must not be empty");
  if ((options.stop ?? []).length > 0 && !pair.tokenizer) {
    throw bad("stop texts need a tokenizer, and the model's folder has none");
  }
  const { temperature, topK, topP, minP, seed } = { ...GREEDY, ...defined(options) };
  const sampling = checkSampling({ temperature, topK, topP, minP, seed });
  const verifier: Verifier = temperature > 0 ? samplingVerifier(sampling) : greedyVerifier;
  const drafter: Drafter = draftTokens > 0 && pair.drafter ? pair.drafter : noDrafter;
  return { draftTokens, maxTokens, verifier, drafter };
}

/** Without keys whose value is undefined, which would hide a default. */
function defined(options: Partial<SamplingOptions>): Partial<SamplingOptions> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
