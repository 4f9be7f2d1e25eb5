import type { HubProgress } from "./checkpoint/hub/progress.js";
import type { PromptCache } from "./prompt-cache.js";
import type { SamplingOptions } from "./speculative/sampling.js";
import type { Strictness } from "./warnings.js";

/** The most tokens that a round may propose. */
export const MAX_DRAFT_TOKENS = 15;

/** The most threads that can be asked for. */
export const MAX_THREADS = 1024;

/** K, the drafts of a round, or `auto`: chosen for each round by what rounds bring and cost. */
export type DraftTokens = number | "auto";

/** What holds where an option is not given; `draftTokens` with an assistant. */
export const DEFAULTS = { draftTokens: "auto", maxTokens: 512, chunkSize: 512 } as const;

/** What weights can be cast to. */
export const DTYPES = ["bf16", "f16", "f32"] as const;
export type DtypeName = (typeof DTYPES)[number];

/** Every key may be absent or undefined. */
type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

export interface LoadOptions extends Strictness {
  /**
   * The target's folder, or its repository on the hub (`org/name`, `org/name@revision`); default: the embedded tiny
   * pair's folder. A folder wins over a repository of the same name; `hf://org/name` is the repository in any case.
   */
  readonly model?: string | undefined;
  /**
   * `assistant`: the one that belongs to the target; `auto`: that one where it is there and fits, else plain decoding
   * with a warning; `none` (the default); or a folder or repository.
   */
  readonly draft?: string | undefined;
  /** Branch, tag or commit of the target's repository; default: the one in its name, else `main`. */
  readonly revision?: string | undefined;
  /** Take what the cache of the hub has, never ask the network; default: HF_HUB_OFFLINE. */
  readonly offline?: boolean | undefined;
  /** Told what is downloaded. */
  readonly onDownload?: ((progress: HubProgress) => void) | undefined;
  /** Casts target and assistant at load; default: each checkpoint's own. */
  readonly dtype?: DtypeName | undefined;
  /**
   * Threads of the CPU kernels, at most 1024; 0: one for each physical core, as from the beginning. It holds for the whole
   * process, whatever pair it is loaded with; default: the number stays as it is.
   */
  readonly threads?: number | undefined;
  /** Refuse a device on which drafted text may differ from plain text. */
  readonly requireExact?: boolean | undefined;
  /** Ends the loading with an `aborted` error. */
  readonly signal?: AbortSignal | undefined;
}

export interface EncodeOptions {
  /** Continue the text as it is, without the chat template. */
  readonly raw?: boolean | undefined;
  /** A system turn before the prompt. */
  readonly system?: string | undefined;
}

export interface EncodeChatOptions {
  /** Ask the model to think before it answers, as its chat template does it. Default false. */
  readonly thinking?: boolean | undefined;
}

export interface GenerateOptions extends Optional<SamplingOptions>, Strictness {
  /** Token ids as they are; nothing is added. */
  readonly promptIds: readonly number[];
  /**
   * K, drafts a round: 0 … 15, or `auto`, the default with an assistant; without one it is 0. `auto` changes no token of
   * greedy text and no distribution; sampled text without a `seed` may differ from run to run, as costs are measured.
   */
  readonly draftTokens?: DraftTokens | undefined;
  /** Of sampling, 32 bits; default 0: without it, too, the same prompt and options give the same draws. */
  readonly seed?: number | undefined;
  /** Default 512. */
  readonly maxTokens?: number | undefined;
  /** Texts that end the answer; they are not part of it. */
  readonly stop?: readonly string[] | undefined;
  /** Go on past end-of-sequence tokens. */
  readonly ignoreEos?: boolean | undefined;
  /** Write special tokens into the text, as the vocabulary spells them; default: they are left out of it. */
  readonly specialTokens?: boolean | undefined;
  /** Prompt tokens of one evaluation; default 512. */
  readonly chunkSize?: number | undefined;
  /** `tokens` events tell their round: drafts, probabilities, times. Costs a readback more a round; default false. */
  readonly trace?: boolean | undefined;
  /** Ends the generation between rounds, or chunks of the prompt; what there is comes with the `end` event. */
  readonly signal?: AbortSignal | undefined;
  /** Keys and values of earlier generations: what the prompt has in common with them is not processed again. */
  readonly cache?: PromptCache | undefined;
}
