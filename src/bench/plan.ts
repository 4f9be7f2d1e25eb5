import { MlxGemmaError } from "../errors.js";
import type { LoadedPair } from "../load.js";
import type { DraftTokens } from "../options.js";
import type { SamplingOptions } from "../speculative/sampling.js";
import type { BenchPrompt, Suite } from "./prompts.js";

/** How tokens are drawn, with the words that stand for it in rows. */
export interface NamedSampling {
  readonly name: string;
  readonly options: SamplingOptions;
}

/** Prompts that are measured together, in one way: all of a row but K. */
export interface Group {
  readonly suite: string;
  /** Tokens that every prompt was filled up to; null: prompts as they are. */
  readonly context: number | null;
  readonly sampling: NamedSampling;
  /** Token ids. */
  readonly prompts: readonly (readonly number[])[];
}

/** What is to be measured. */
export interface Plan {
  readonly groups: readonly Group[];
  /** Every K, plain decoding (0) first, auto last. */
  readonly draftTokens: readonly DraftTokens[];
  readonly repetitions: number;
  readonly maxTokens: number;
}

/** One generation of a plan. */
export interface Job {
  readonly group: Group;
  /** Index of the prompt in its group. */
  readonly prompt: number;
  readonly draftTokens: DraftTokens;
  /** 1, 2, …; 0: warm-up, not counted. */
  readonly repetition: number;
}

export interface PlanOptions extends Pick<Plan, "repetitions" | "maxTokens"> {
  readonly suites: readonly Suite[];
  /** Any order, plain decoding may be left out. */
  readonly draftTokens: readonly DraftTokens[];
  /** Empty: prompts as they are. */
  readonly contexts: readonly number[];
  readonly samplings: readonly NamedSampling[];
  /** What prompts are filled up with. */
  readonly filler: string;
}

/**
 * Makes a plan of what was asked for.
 *
 * @throws MlxGemmaError `usage` for a context shorter than a prompt; `context` where the model has too few positions.
 */
export async function makePlan(pair: LoadedPair, options: PlanOptions): Promise<Plan> {
  const { repetitions, maxTokens, contexts, samplings } = options;
  const filler = contexts.length > 0 ? await pair.encodePrompt(options.filler, { raw: true }) : [];
  const groups: Group[] = [];
  for (const suite of options.suites) {
    const own = await Promise.all(suite.prompts.map((prompt) => encode(pair, prompt)));
    const longest = Math.max(...own.map(({ length }) => length));
    for (const context of contexts.length > 0 ? contexts : [null]) {
      checkRoom(context ?? longest, maxTokens, pair.target.maxPositionEmbeddings, suite.name);
      const prompts =
        context === null
          ? own
          : own.map((ids, index) => fill(ids, filler, context, `${suite.name}, prompt ${index + 1}`));
      for (const sampling of samplings) groups.push({ suite: suite.name, context, sampling, prompts });
    }
  }
  const draftTokens = [...new Set([0, ...options.draftTokens])].sort((a, b) => inOrder(a) - inOrder(b));
  return { groups, draftTokens, repetitions, maxTokens };
}

/**
 * All generations of a plan in their order: first the first prompt of every group with every K, to warm up; then repetition
 * by repetition, prompt by prompt, every K right after the other, so that what the machine does meanwhile meets plain and
 * drafted runs alike. Each repetition begins one K further on.
 */
export function* jobsOf({ groups, draftTokens, repetitions }: Plan): Generator<Job, void> {
  for (const group of groups) {
    for (const k of draftTokens) yield { group, prompt: 0, draftTokens: k, repetition: 0 };
  }
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    const first = (repetition - 1) % draftTokens.length;
    const order = [...draftTokens.slice(first), ...draftTokens.slice(0, first)];
    for (const group of groups) {
      for (const prompt of group.prompts.keys()) {
        for (const k of order) yield { group, prompt, draftTokens: k, repetition };
      }
    }
  }
}

const inOrder = (draftTokens: DraftTokens) => (draftTokens === "auto" ? Infinity : draftTokens);

/** Two groups or rows with the same words are the same measurement. */
export function groupKey({
  suite,
  context,
  sampling,
}: {
  suite: string;
  context: number | null;
  sampling: string;
}): string {
  return JSON.stringify([suite, context, sampling]);
}

function encode(pair: LoadedPair, prompt: BenchPrompt): Promise<number[]> {
  return prompt.kind === "chat"
    ? pair.encodeChat(prompt.messages)
    : pair.encodePrompt(prompt.text, { raw: true });
}

/** Puts filler before a prompt, after the token that begins every text, so that it has `length` tokens. */
function fill(ids: readonly number[], filler: readonly number[], length: number, what: string): number[] {
  const missing = length - ids.length;
  if (missing < 0) {
    throw new MlxGemmaError(
      "usage",
      `--context: expected at least the ${ids.length} tokens of ${what}, found ${length}; give more, or other prompts`,
    );
  }
  const begin = ids[0] === filler[0] ? 1 : 0;
  const text = filler.slice(begin);
  const filling = Array.from({ length: missing }, (_, index) => text[index % text.length] ?? 0);
  return [...ids.slice(0, begin), ...filling, ...ids.slice(begin)];
}

function checkRoom(length: number, maxTokens: number, positions: number, suite: string): void {
  if (length + maxTokens <= positions) return;
  throw new MlxGemmaError(
    "context",
    `${suite}: a prompt of ${length} tokens and an answer of ${maxTokens} need more than the model's ${positions} positions; ` +
      "give a shorter --context or a smaller --max-tokens",
  );
}
