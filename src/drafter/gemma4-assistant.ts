import type { AssistantCheckpoint, FloatDtype } from "../checkpoint/types.js";
import { disposeAll, evaluate, fromFloat32, type MlxArray, scope } from "../mlx/array.js";
import { castOf } from "../mlx/cast.js";
import { loadWeights } from "../mlx/load-weights.js";
import { arraysOf, isPacked, type Matrix } from "../mlx/matrix.js";
import type { NativeLayerReads } from "../mlx/native.js";
import * as ops from "../mlx/ops.js";
import type { KeysValues, SharedKv } from "../target/target.js";
import { centroidHead } from "./centroid-head.js";
import { denseHead } from "./dense-head.js";
import type { DraftContext, DraftDistribution, Drafter, Proposal } from "./drafter.js";
import type { DraftHead } from "./head.js";
import { type DraftLayers, draftLayers, type RopeTables } from "./layers.js";
import { pickToken } from "./pick.js";
import { under } from "./weights.js";

const TOKEN_ORDERING = "masked_embedding.token_ordering";

/** What one draft step reads. */
export interface DraftStepInput {
  /** The token as the target embeds it: `embed_tokens[token] * sqrt(hidden_size)`, (1, 1, H_target). */
  readonly embedding: MlxArray;
  /** The target's `last_hidden`, or the step's before, (1, 1, H_target). */
  readonly hidden: MlxArray;
  readonly sharedKv: SharedKv;
  /** The bonus token's position; the same for all steps of a round. */
  readonly position: number;
}

export interface DraftStepOutput {
  /** After the final norm, (1, 1, hidden_size): what the head scores. */
  readonly h: MlxArray;
  /** `post_projection(h)`, (1, 1, H_target): the next step's hidden. */
  readonly hidden: MlxArray;
}

/**
 * Gemma 4's MTP assistant (`gemma4_assistant`; reference: `Gemma4AssistantForCausalLM`). It holds weights and
 * configuration only; a generation's state comes with each call.
 */
export class Gemma4Assistant implements Drafter {
  /** @param parts made by {@link Gemma4Assistant.load} */
  private constructor(
    /** The head, dense or by centroids. */
    readonly head: DraftHead,
    private readonly parts: {
      readonly layers: DraftLayers;
      readonly preProjection: Matrix;
      readonly postProjection: Matrix;
      readonly norm: MlxArray;
      readonly eps: number;
      readonly dtype: FloatDtype;
      /** Inverse frequencies, float32 (d/2), by layer type. */
      readonly frequencies: ReadonlyMap<string, MlxArray>;
      readonly owned: readonly MlxArray[];
    },
  ) {}

  /**
   * Loads the weights of a checked folder.
   *
   * @param options.dtype casts at load (packed values stay as they are); default: the checkpoint's own
   * @param options.signal ends the loading
   * @throws MlxGemmaError `checkpoint` for a broken `token_ordering`, `native` when a file can't be read, `aborted`
   */
  static async load(
    { config, weights: plan }: AssistantCheckpoint,
    options: { readonly dtype?: FloatDtype; readonly signal?: AbortSignal } = {},
  ): Promise<Gemma4Assistant> {
    const dtype = options.dtype ?? plan.dtype;
    const weights = await loadWeights(
      plan.tensors,
      (name, source) => (name === TOKEN_ORDERING ? undefined : castOf(source.dtype, dtype)),
      options.signal,
    );
    const quantizations = config.quantization ?? {};
    const all = under(weights, quantizations, "");
    const ordering = plan.tensors.get(TOKEN_ORDERING)?.file ?? "the assistant";
    try {
      const embedding = all.matrix("model.embed_tokens");
      const head = config.centroidHead
        ? await centroidHead(
            {
              centroids: await unpacked(all.matrix("masked_embedding.centroids"), dtype),
              tokenOrdering: all.tensor(TOKEN_ORDERING),
              embedding,
            },
            config.centroidHead.topK,
            ordering,
          )
        : denseHead(embedding);
      const frequencies = new Map(
        Object.entries(config.inverseFrequencies).map(([type, values]) => [
          type,
          fromFloat32(values, [values.length]),
        ]),
      );
      return new Gemma4Assistant(head, {
        preProjection: all.matrix("pre_projection"),
        postProjection: all.matrix("post_projection"),
        norm: all.tensor("model.norm.weight"),
        layers: draftLayers(config, (index) => under(weights, quantizations, `model.layers.${index}.`)),
        eps: config.rmsNormEps,
        dtype,
        frequencies,
        owned: [...weights.values(), ...frequencies.values()],
      });
    } catch (error) {
      disposeAll(weights.values());
      throw error;
    }
  }

  /** One draft step for one query position, lazily. */
  step({ embedding, hidden, sharedKv, position }: DraftStepInput): DraftStepOutput {
    const h = this.#forward(embedding, hidden, this.#reads(sharedKv, position));
    return { h, hidden: this.#hidden(h) };
  }

  #forward(embedding: MlxArray, hidden: MlxArray, reads: readonly NativeLayerReads[]): MlxArray {
    const { layers, preProjection, norm, eps } = this.parts;
    const h = ops.joinedLinear([this.#own(embedding), this.#own(hidden)], preProjection);
    return ops.rmsNorm(layers.forward(h, reads), norm, eps);
  }

  /** What the next step takes for the target's `last_hidden`. */
  #hidden(h: MlxArray): MlxArray {
    return ops.linear(h, this.parts.postProjection);
  }

  #reads(sharedKv: SharedKv, position: number): NativeLayerReads[] {
    return this.parts.layers.readsOf({
      sharedKv: this.#cast(sharedKv),
      ropeTables: this.#ropeTables(position),
    });
  }

  #ropeTables(position: number): RopeTables {
    const { frequencies, dtype } = this.parts;
    const tables = [...frequencies].map(([type, values]) => [type, ops.ropeTable(values, position, dtype)]);
    return Object.fromEntries(tables);
  }

  propose({ bonus, hidden, sharedKv, position, steps, embed, pick }: DraftContext): Proposal {
    if (steps === 0) return { distributions: [] };
    return scope(() => {
      const reads = this.#reads(sharedKv, position);
      const tokens: MlxArray[] = [];
      const distributions: DraftDistribution[] = [];
      let token = bonus;
      let h: MlxArray | undefined;
      for (let step = 0; step < steps; step++) {
        h = this.#forward(embed(token), h ? this.#hidden(h) : hidden, reads);
        const picked = pick.probabilities
          ? pickToken(this.head.scores(h), pick, position + 1 + step)
          : { token: this.head.largest(h) };
        tokens.push(picked.token);
        if (picked.distribution) distributions.push(picked.distribution);
        token = picked.token;
      }
      return { tokens: ops.concatenate(tokens, 1), distributions };
    });
  }

  [Symbol.dispose](): void {
    for (const part of [this.head, this.parts.layers]) part[Symbol.dispose]();
    disposeAll(this.parts.owned);
  }

  /** The target may run in another dtype. */
  #own(array: MlxArray): MlxArray {
    return array.dtype === this.parts.dtype ? array : ops.astype(array, this.parts.dtype);
  }

  #cast({ full_attention: full, sliding_attention: sliding }: SharedKv): SharedKv {
    const pair = ({ keys, values }: KeysValues) => ({ keys: this.#own(keys), values: this.#own(values) });
    return {
      ...(full ? { full_attention: pair(full) } : {}),
      ...(sliding ? { sliding_attention: pair(sliding) } : {}),
    };
  }
}

/** Centroids are never packed by whoever follows the reference; where they are, they become floats once. */
async function unpacked(matrix: Matrix, dtype: FloatDtype): Promise<MlxArray> {
  if (!isPacked(matrix)) return matrix;
  const made = scope(() => ops.dequantize(matrix, dtype));
  await evaluate([[made]]);
  disposeAll(arraysOf(matrix));
  return made;
}
