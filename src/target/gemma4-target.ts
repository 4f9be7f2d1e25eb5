import type { FloatDtype, TargetCheckpoint, TargetConfig } from "../checkpoint/types.js";
import { MlxGemmaError, throwIfAborted } from "../errors.js";
import { addon } from "../mlx/addon.js";
import { disposeAll, evaluate, fromInt32, guarded, type MlxArray, track } from "../mlx/array.js";
import { castOf } from "../mlx/cast.js";
import { loadWeights } from "../mlx/load-weights.js";
import type { NativeForward, NativeSession, NativeTarget, OutputRows } from "../mlx/native.js";
import type { PrefillOptions, SharedKv, StepOutput, Target, TargetSession } from "./target.js";

/** Tokens of one evaluation of a prompt. */
const CHUNK_SIZE = 512;

export interface LoadTargetOptions {
  /** What to cast the weights to; packed values stay as they are. Default: the checkpoint's own dtype. */
  readonly dtype?: FloatDtype;
  /** Ends the loading with an `aborted` error. */
  readonly signal?: AbortSignal;
}

/** A Gemma 4 text model on the native target. */
export class Gemma4Target implements Target {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly maxPositionEmbeddings: number;
  readonly #native: NativeTarget;
  readonly #sessions = new Set<Gemma4Session>();

  private constructor(native: NativeTarget, config: TargetConfig) {
    this.#native = native;
    this.vocabSize = config.vocabSize;
    this.hiddenSize = config.hiddenSize;
    this.maxPositionEmbeddings = config.maxPositionEmbeddings;
  }

  /**
   * Reads the weights of a checked checkpoint and builds the model.
   *
   * @throws MlxGemmaError `native` when MLX can't read or hold them, `aborted`
   */
  static async load(checkpoint: TargetCheckpoint, options: LoadTargetOptions = {}): Promise<Gemma4Target> {
    const { config, weights } = checkpoint;
    const dtype = options.dtype ?? weights.dtype;
    const arrays = await loadWeights(
      weights.tensors,
      (_, source) => castOf(source.dtype, dtype),
      options.signal,
    );
    try {
      const native = guarded(() => addon().createTarget(config, Object.fromEntries(arrays)));
      return new Gemma4Target(native, config);
    } finally {
      disposeAll(arrays.values());
    }
  }

  openSession(maxBlock: number): TargetSession {
    const session = new Gemma4Session(
      guarded(() => this.#native.createSession(maxBlock)),
      this,
      () => this.#sessions.delete(session),
    );
    this.#sessions.add(session);
    return session;
  }

  embed(tokens: MlxArray): MlxArray {
    return track(guarded(() => this.#native.embed(tokens)));
  }

  /** Closes the sessions that are open, too. */
  [Symbol.dispose](): void {
    for (const session of [...this.#sessions]) session[Symbol.dispose]();
    this.#native.dispose();
  }
}

/** One generation on a target. Its graphs must not be built while one of them is being evaluated. */
class Gemma4Session implements TargetSession {
  readonly #native: NativeSession;
  readonly #limits: Pick<Target, "vocabSize" | "maxPositionEmbeddings">;
  readonly #onDispose: () => void;
  #evaluating = false;
  #disposed = false;

  constructor(
    native: NativeSession,
    limits: Pick<Target, "vocabSize" | "maxPositionEmbeddings">,
    onDispose: () => void,
  ) {
    this.#native = native;
    this.#limits = limits;
    this.#onDispose = onDispose;
  }

  get position(): number {
    return guarded(() => this.#open().position);
  }

  async prefill(tokens: Int32Array, options: PrefillOptions = {}): Promise<StepOutput> {
    const { chunkSize = CHUNK_SIZE, onProgress, signal } = options;
    this.#checkPrompt(tokens, chunkSize);
    const prompt = Int32Array.from(tokens); // The caller's may change while we wait.
    const last = Math.floor((prompt.length - 1) / chunkSize) * chunkSize;
    for (let start = 0; start < last; start += chunkSize) {
      throwIfAborted(signal, "the prompt was aborted");
      await this.#evaluated(prompt.subarray(start, start + chunkSize), "none");
      onProgress?.(start + chunkSize, prompt.length);
    }
    throwIfAborted(signal, "the prompt was aborted");
    const output = await this.#evaluated(prompt.subarray(last), "last");
    if (!output)
      throw new MlxGemmaError("native", "the native target gave no output for a prompt's last chunk");
    onProgress?.(prompt.length, prompt.length);
    return output;
  }

  step(tokens: MlxArray): StepOutput {
    const output = this.#forward(tokens, "all");
    if (!output) throw new MlxGemmaError("native", "the native target gave no output for a step");
    return output;
  }

  pending(): MlxArray[] {
    return guarded(() => this.#open().pending()).map(track);
  }

  keep(n: number): void {
    guarded(() => this.#open().keep(n));
  }

  mark(): void {
    guarded(() => this.#open().mark());
  }

  rewind(position: number): void {
    guarded(() => this.#open().rewind(position));
  }

  sharedKv(): SharedKv {
    const shared = guarded(() => this.#open().sharedKv());
    for (const pair of [shared.full_attention, shared.sliding_attention]) {
      if (pair) [pair.keys, pair.values].forEach(track);
    }
    return shared;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#onDispose();
    // A prompt that is being evaluated lets go of the caches itself when it is done.
    if (!this.#evaluating) this.#native.dispose();
  }

  #open(): NativeSession {
    if (this.#disposed) throw new MlxGemmaError("disposed", "the session is disposed");
    if (this.#evaluating) {
      throw new MlxGemmaError("usage", "the session is busy: wait for its prefill before the next step");
    }
    return this.#native;
  }

  #forward(tokens: MlxArray, rows: OutputRows): NativeForward | null {
    const output = guarded(() => this.#open().forward(tokens, rows));
    if (output) [output.logits, output.lastHidden].forEach(track);
    return output;
  }

  async #evaluated(tokens: Int32Array, rows: OutputRows): Promise<NativeForward | null> {
    const ids = fromInt32(tokens, [1, tokens.length]);
    const output = this.#forward(ids, rows);
    const pending = this.pending();
    this.#evaluating = true;
    try {
      await evaluate([[...(output ? [output.logits, output.lastHidden] : []), ...pending]]);
    } finally {
      this.#evaluating = false;
      disposeAll([ids, ...pending]);
      if (this.#disposed) this.#native.dispose();
    }
    if (this.#disposed) throw new MlxGemmaError("disposed", "the session was disposed during its prefill");
    return output;
  }

  #checkPrompt(tokens: Int32Array, chunkSize: number): void {
    if (!Number.isInteger(chunkSize) || chunkSize < 1) {
      throw new MlxGemmaError("usage", `chunkSize must be a whole number of at least 1, found ${chunkSize}`);
    }
    if (tokens.length === 0)
      throw new MlxGemmaError("usage", "the prompt has no tokens: expected at least one");
    const { vocabSize, maxPositionEmbeddings } = this.#limits;
    const foreign = tokens.findIndex((id) => id < 0 || id >= vocabSize);
    if (foreign >= 0) {
      throw new MlxGemmaError(
        "usage",
        `prompt token ${foreign} is ${tokens[foreign]}: the model's ids go from 0 to ${vocabSize - 1}`,
      );
    }
    const end = this.position + tokens.length;
    if (end > maxPositionEmbeddings) {
      throw new MlxGemmaError(
        "context",
        `the prompt ends at position ${end}, the model has ${maxPositionEmbeddings}: shorten the prompt`,
      );
    }
  }
}
