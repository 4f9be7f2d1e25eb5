import type { LayerType, NativeQuantization, NativeTargetConfig } from "../mlx/native.js";
import type { Warning } from "../warnings.js";

/** Element types of weights that this version can run. */
export type FloatDtype = "bfloat16" | "float16" | "float32";

/** Rope of one layer type, resolved. */
export interface RopeParameters {
  readonly type: "default" | "proportional";
  readonly theta: number;
  /** Share of the pairs that turn. */
  readonly partialRotaryFactor: number;
  /** Divides the frequencies. */
  readonly factor: number;
}

/** A target's text model: what C++ needs, and what the loop and the tokenizer need beside it. */
export interface TargetConfig extends NativeTargetConfig {
  /**
   * The outer `model_type`: the text part of a multimodal checkpoint (`gemma4`, `gemma4_unified`), or a text model of
   * its own.
   */
  readonly modelType: "gemma4" | "gemma4_text" | "gemma4_unified" | "gemma4_unified_text";
  /** Rows of `embed_tokens_per_layer`; 0 without per-layer inputs. */
  readonly vocabSizePerLayerInput: number;
  /** By layer type; `inverseFrequencies` come from it. */
  readonly rope: { readonly [T in LayerType]?: RopeParameters };
  /** Ids that end an answer: config.json's and generation_config.json's together, ascending. May be empty. */
  readonly eosTokenIds: readonly number[];
  /** The id that begins every text, or null where the config says there is none. Default 2. */
  readonly bosTokenId: number | null;
  /** Positions that the model was made for. Default 131072, of unified models 262144. */
  readonly maxPositionEmbeddings: number;
  /** The config's `dtype` (or `torch_dtype`), null when absent. What is stored is `WeightPlan.dtype`. */
  readonly declaredDtype: FloatDtype | null;
  /** Always true here: the head is `embed_tokens`. */
  readonly tieWordEmbeddings: true;
  /** Ids that stand for an image, sound or video in a prompt, by what they stand for, where the config names them. */
  readonly mediaTokenIds: { readonly [kind in MediaKind]?: number };
}

/** What a prompt of a multimodal model can hold beside text. */
export type MediaKind = "image" | "audio" | "video";

/** One layer of an assistant: queries only, K/V come from the target's layer of the same type. */
export interface AssistantLayerConfig {
  readonly type: LayerType;
  readonly headDim: number;
  /** Heads of the shared K/V that this layer expects. */
  readonly numKvHeads: number;
  readonly intermediateSize: number;
}

/** The centroid head (`use_ordered_embeddings`). */
export interface CentroidHeadConfig {
  /** Clusters; divides the vocabulary into equal parts. Default 2048. */
  readonly numCentroids: number;
  /** Clusters scored in each step (`centroid_intermediate_top_k`). Default 32. */
  readonly topK: number;
}

/** An MTP assistant. */
export interface AssistantConfig {
  readonly modelType: "gemma4_assistant" | "gemma4_unified_assistant";
  /** hidden_size of the target that it was trained with. Default 1536, of unified assistants 3840. */
  readonly backboneHiddenSize: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  /** Query heads of every layer. */
  readonly numHeads: number;
  readonly rmsNormEps: number;
  readonly slidingWindow: number;
  readonly layers: readonly AssistantLayerConfig[];
  /** By layer type; `inverseFrequencies` come from it. */
  readonly rope: { readonly [T in LayerType]?: RopeParameters };
  /** By layer type, float32 (head_dim / 2); 0 for pairs that do not turn. */
  readonly inverseFrequencies: { readonly [T in LayerType]?: Float32Array };
  /** Absent: the dense head, tied to `model.embed_tokens`. */
  readonly centroidHead?: CentroidHeadConfig;
  /**
   * Packed modules by canonical name, `.weight` left out: `pre_projection`, `model.embed_tokens`,
   * `model.layers.3.mlp.gate_proj` …; a module that is not here is not packed.
   */
  readonly quantization?: Readonly<Record<string, NativeQuantization>>;
  /** The config's `dtype` (or `torch_dtype`), null when absent. What is stored is `WeightPlan.dtype`. */
  readonly declaredDtype: FloatDtype | null;
}

/** Element types of safetensors files, by MLX's names where MLX has them. */
export type StoredDtype =
  | FloatDtype
  | "float64"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "bool"
  | "float8_e4m3"
  | "float8_e5m2";

/** A tensor as a safetensors header describes it. */
export interface TensorInfo {
  /** Absolute path of the file. */
  readonly file: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  /** Of the first byte, from the beginning of the file. */
  readonly offset: number;
  readonly bytes: number;
  /** What the file was like when its header was read (`file-stamp.ts`); empty for one that is not on this machine. */
  readonly stamp: string;
}

/** Where one weight lies. */
export interface WeightSource {
  /** Absolute path of the safetensors file. */
  readonly file: string;
  /** The tensor's name in that file. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: StoredDtype;
  /** Of the first byte, from the beginning of the file. */
  readonly offset: number;
  /** In the file. */
  readonly bytes: number;
  /** As in {@link TensorInfo}. */
  readonly stamp: string;
}

/**
 * Every weight that the model needs, each checked: present, of the right shape, of a dtype that can be run.
 *
 * Canonical names of a target are the reference's without the prefix of its text model: `embed_tokens.weight`,
 * `embed_tokens_per_layer.weight`, `per_layer_model_projection.weight`, `per_layer_projection_norm.weight`,
 * `layers.N.…`, `norm.weight`. An assistant's are as in its file: `pre_projection.weight`, `post_projection.weight`,
 * `masked_embedding.centroids.weight`, `masked_embedding.token_ordering`, `model.embed_tokens.weight`,
 * `model.layers.N.…`, `model.norm.weight`.
 *
 * A packed module X has `X.weight` (uint32, (…, O, I · bits / 32)), `X.scales` (…, O, I / group size) and, in affine
 * mode, `X.biases` of the same shape. Experts stand in the packaging of the checkpoint: stacked
 * (`layers.N.experts.gate_up_proj` and `down_proj`) or split (`layers.N.experts.switch_glu.gate_proj.weight` …).
 */
export interface WeightPlan {
  readonly tensors: ReadonlyMap<string, WeightSource>;
  /**
   * What the model computes in, and what its float tensors are cast to: the dtype of `embed_tokens`; where that is
   * packed, of its scales; where those are integers (other modes than affine), of the final norm.
   */
  readonly dtype: FloatDtype;
  /** Bytes of all planned tensors. */
  readonly bytes: number;
  /** Packed modules by canonical name; empty: none. */
  readonly quantization: Readonly<Record<string, NativeQuantization>>;
  /** Of these weights. */
  readonly warnings: readonly Warning[];
}

/** A checked target folder. */
export interface TargetCheckpoint {
  /** Absolute path. */
  readonly folder: string;
  /** With `quantization` where modules are packed. */
  readonly config: TargetConfig;
  readonly weights: WeightPlan;
  /** Of its config and its weights. */
  readonly warnings: readonly Warning[];
}

/** A checked assistant folder. */
export interface AssistantCheckpoint {
  /** Absolute path. */
  readonly folder: string;
  /** With `quantization` where modules are packed. */
  readonly config: AssistantConfig;
  readonly weights: WeightPlan;
  /** Of its config and its weights. */
  readonly warnings: readonly Warning[];
}
