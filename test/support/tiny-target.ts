import { addon } from "../../src/mlx/addon.js";
import { type MlxArray, track } from "../../src/mlx/array.js";
import type { LayerType, NativeLayerConfig, NativeTarget, NativeTargetConfig } from "../../src/mlx/native.js";
import { astype } from "../../src/mlx/ops.js";
import type { StepOutput } from "../../src/target/target.js";
import type { Steps } from "../target/helpers.js";
import { arraysOf, type StoredTensor } from "./tensors.js";
import { type Packing, PROJECTION, TinyWriter } from "./tiny-writer.js";

export interface TinyOptions {
  /** Experts in either packaging, full layers without v_proj; absent: per-layer inputs and K/V-shared layers. */
  readonly experts?: "stacked" | "split";
  readonly packing?: Packing;
  readonly layers?: readonly LayerType[];
  readonly window?: number;
  readonly seed?: number;
}

/** A target of random numbers, every one of which any dtype holds exactly. */
export interface TinyTarget {
  readonly config: NativeTargetConfig;
  /** As the options say, by canonical name. */
  readonly stored: ReadonlyMap<string, StoredTensor>;
  /** The same values as floats. */
  readonly plain: ReadonlyMap<string, StoredTensor>;
}

/** Small, and a multiple of every group size wherever rows are packed. */
export const TINY = {
  vocab: 96,
  hidden: 128,
  heads: 4,
  intermediate: 128,
  perLayer: 128,
  window: 8,
  eps: 1e-6,
  softcap: 30,
  experts: { count: 6, topK: 2, intermediateSize: 128 },
  headDim: { sliding_attention: 32, full_attention: 64 },
  theta: 10000,
} as const;

const ALTERNATING: readonly LayerType[] = [
  "sliding_attention",
  "full_attention",
  "sliding_attention",
  "full_attention",
];

export function tinyTarget(options: TinyOptions = {}): TinyTarget {
  const { experts, packing = () => undefined, layers = ALTERNATING, window = TINY.window } = options;
  const write = new TinyWriter(packing, options.seed);
  const configs = layers.map((type, index) => layerConfig(type, index, experts !== undefined));
  writeAll(write, configs, experts);
  return {
    config: {
      vocabSize: TINY.vocab,
      hiddenSize: TINY.hidden,
      numHeads: TINY.heads,
      hiddenSizePerLayerInput: experts ? 0 : TINY.perLayer,
      rmsNormEps: TINY.eps,
      slidingWindow: window,
      finalLogitSoftcapping: TINY.softcap,
      layers: configs,
      inverseFrequencies: {
        sliding_attention: frequencies(TINY.headDim.sliding_attention),
        full_attention: frequencies(TINY.headDim.full_attention),
      },
      ...(experts ? { experts: TINY.experts } : {}),
      ...(options.packing ? { quantization: write.quantization } : {}),
    },
    stored: write.stored,
    plain: write.plain,
  };
}

/** The native target of a config and tensors, floats cast to `dtype`. */
export function nativeTarget(
  config: NativeTargetConfig,
  tensors: ReadonlyMap<string, StoredTensor>,
  dtype: "float32" | "bfloat16" | "float16" = "float32",
): NativeTarget {
  const arrays = [...arraysOf(tensors)].map(
    ([name, array]) => [name, array.dtype === "float32" ? astype(array, dtype) : array] as const,
  );
  return addon().createTarget(config, Object.fromEntries(arrays));
}

/** A session of a native target, as the helpers of the target's tests step it. */
export function nativeSession(target: NativeTarget, maxBlock = 8): Steps & { keep(n: number): void } {
  const session = target.createSession(maxBlock);
  return {
    step(tokens: MlxArray): StepOutput {
      const output = session.forward(tokens, "all");
      if (!output) throw new Error("no output");
      return output;
    },
    pending: () => session.pending().map(track),
    keep: (n) => session.keep(n),
  };
}

function writeAll(
  write: TinyWriter,
  layers: readonly NativeLayerConfig[],
  experts: TinyOptions["experts"],
): void {
  const { vocab, hidden: H, perLayer: P } = TINY;
  write.matrix("embed_tokens", [vocab, H], 1);
  // About 0, so that the tied head does not only give back the token that came in.
  write.vector("norm.weight", H, 0);
  if (!experts) {
    write.matrix("embed_tokens_per_layer", [vocab, layers.length * P], 1);
    write.matrix("per_layer_model_projection", [layers.length * P, H], PROJECTION);
    write.vector("per_layer_projection_norm.weight", P, 1);
  }
  for (const [index, layer] of layers.entries()) {
    const at = `layers.${index}`;
    writeAttention(write, `${at}.self_attn`, layer, layer.kvSource === index);
    writeMlp(write, `${at}.mlp`);
    for (const norm of ["input", "post_attention", "pre_feedforward", "post_feedforward"]) {
      write.vector(`${at}.${norm}_layernorm.weight`, H, 1);
    }
    write.vector(`${at}.layer_scalar`, 1, 1);
    if (experts) writeExperts(write, at, experts);
    else {
      write.matrix(`${at}.per_layer_input_gate`, [P, H], PROJECTION);
      write.matrix(`${at}.per_layer_projection`, [H, P], PROJECTION);
      write.vector(`${at}.post_per_layer_input_norm.weight`, H, 1);
    }
  }
}

function writeAttention(write: TinyWriter, at: string, layer: NativeLayerConfig, producer: boolean): void {
  const { hidden: H, heads } = TINY;
  const { headDim, numKvHeads, keyEqualsValue } = layer;
  write.matrix(`${at}.q_proj`, [heads * headDim, H], PROJECTION);
  write.vector(`${at}.q_norm.weight`, headDim, 0.5);
  write.matrix(`${at}.o_proj`, [H, heads * headDim], PROJECTION);
  if (!producer) return;
  write.matrix(`${at}.k_proj`, [numKvHeads * headDim, H], PROJECTION);
  write.vector(`${at}.k_norm.weight`, headDim, 0.5);
  if (!keyEqualsValue) write.matrix(`${at}.v_proj`, [numKvHeads * headDim, H], PROJECTION);
}

function writeMlp(write: TinyWriter, at: string): void {
  const { hidden: H, intermediate: I } = TINY;
  write.matrix(`${at}.gate_proj`, [I, H], PROJECTION);
  write.matrix(`${at}.up_proj`, [I, H], PROJECTION);
  write.matrix(`${at}.down_proj`, [H, I], PROJECTION);
}

function writeExperts(write: TinyWriter, at: string, packaging: "stacked" | "split"): void {
  const { hidden: H } = TINY;
  const { count: E, intermediateSize: M } = TINY.experts;
  write.vector(`${at}.router.scale`, H, 1);
  write.matrix(`${at}.router.proj`, [E, H], 2);
  write.vector(`${at}.router.per_expert_scale`, E, 1);
  for (const norm of [
    "post_feedforward_layernorm_1",
    "pre_feedforward_layernorm_2",
    "post_feedforward_layernorm_2",
  ]) {
    write.vector(`${at}.${norm}.weight`, H, 1);
  }
  if (packaging === "stacked") {
    write.floats(`${at}.experts.gate_up_proj`, [E, 2 * M, H], PROJECTION);
    write.floats(`${at}.experts.down_proj`, [E, H, M], PROJECTION);
    return;
  }
  write.matrix(`${at}.experts.switch_glu.gate_proj`, [E, M, H], PROJECTION);
  write.matrix(`${at}.experts.switch_glu.up_proj`, [E, M, H], PROJECTION);
  write.matrix(`${at}.experts.switch_glu.down_proj`, [E, H, M], PROJECTION);
}

function layerConfig(type: LayerType, index: number, experts: boolean): NativeLayerConfig {
  const full = type === "full_attention";
  return {
    type,
    headDim: TINY.headDim[type],
    numKvHeads: experts && !full ? 2 : 1,
    intermediateSize: TINY.intermediate,
    // With per-layer inputs the layers past the first two share K/V.
    kvSource: experts ? index : index % 2,
    keyEqualsValue: experts && full,
  };
}

function frequencies(headDim: number): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, j) => TINY.theta ** ((-2 * j) / headDim));
}
