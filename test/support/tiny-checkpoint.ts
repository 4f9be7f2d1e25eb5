import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NativeQuantization } from "../../src/mlx/native.js";
import { asBfloat16, integerTensor, type StoredTensor, writeSafetensors } from "./tensors.js";
import { TINY, type TinyOptions, tinyTarget } from "./tiny-target.js";
import { type Packing, PROJECTION, TinyWriter } from "./tiny-writer.js";

/** How a folder is written. */
export interface FolderOptions {
  /** The values that are packed, as floats instead. */
  readonly plain?: boolean;
}

export interface TinyAssistantOptions extends FolderOptions {
  readonly head: "dense" | "centroid";
  /** What target it is for: one with experts, or one with per-layer inputs. */
  readonly experts: boolean;
  readonly packing?: Packing;
  readonly seed?: number;
}

export const TINY_CENTROIDS = { count: 8, topK: 3 } as const;
const ASSISTANT_LAYERS = ["sliding_attention", "sliding_attention", "full_attention"] as const;

/** Writes a tiny target as MLX conversions are packaged: a multimodal container, bfloat16 beside what is packed. */
export function writeTarget(folder: string, options: TinyOptions & FolderOptions): string {
  const tiny = tinyTarget(options);
  const layers = tiny.config.layers;
  const packed = options.plain ? undefined : tiny.config.quantization;
  const prefix = "language_model.model.";
  const config = {
    model_type: "gemma4",
    tie_word_embeddings: true,
    ...quantizationBlock(packed, tiny.plain.keys(), prefix),
    text_config: {
      ...textConfig(
        options.experts !== undefined,
        layers.map(({ type }) => type),
      ),
      model_type: "gemma4_text",
      final_logit_softcapping: TINY.softcap,
      num_kv_shared_layers: layers.filter(({ kvSource }, index) => kvSource !== index).length,
      hidden_size_per_layer_input: tiny.config.hiddenSizePerLayerInput,
      vocab_size_per_layer_input: TINY.vocab,
    },
  };
  return writeFolder(folder, config, options.plain ? tiny.plain : tiny.stored, prefix);
}

/** Writes an assistant for such a target. */
export function writeAssistant(folder: string, options: TinyAssistantOptions): string {
  const { head, experts, plain } = options;
  const write = new TinyWriter(options.packing, options.seed ?? 2);
  const { vocab, hidden: H } = TINY;
  write.matrix("pre_projection", [H, 2 * H], PROJECTION);
  write.matrix("post_projection", [H, H], PROJECTION);
  write.matrix("model.embed_tokens", [vocab, H], 1);
  write.vector("model.norm.weight", H, 1);
  if (head === "centroid") {
    write.matrix("masked_embedding.centroids", [TINY_CENTROIDS.count, H], 1);
    // Ids in an order of their own: 35 has no common divisor with the vocabulary's 96.
    const ordering = Int32Array.from({ length: vocab }, (_, place) => (place * 35 + 7) % vocab);
    write.tensor("masked_embedding.token_ordering", integerTensor(ordering, [vocab]));
  }
  for (const [index, type] of ASSISTANT_LAYERS.entries()) {
    writeQueryLayer(write, `model.layers.${index}`, TINY.headDim[type]);
  }
  const packed = options.packing && !plain ? write.quantization : undefined;
  const config = {
    model_type: "gemma4_assistant",
    backbone_hidden_size: H,
    tie_word_embeddings: true,
    use_ordered_embeddings: head === "centroid",
    num_centroids: TINY_CENTROIDS.count,
    centroid_intermediate_top_k: TINY_CENTROIDS.topK,
    ...quantizationBlock(packed, write.plain.keys(), ""),
    text_config: {
      ...textConfig(experts, ASSISTANT_LAYERS),
      model_type: "gemma4_text",
      hidden_size_per_layer_input: 0,
      num_kv_shared_layers: ASSISTANT_LAYERS.length,
      enable_moe_block: false,
    },
  };
  return writeFolder(folder, config, plain ? write.plain : write.stored, "");
}

function writeQueryLayer(write: TinyWriter, at: string, headDim: number): void {
  const { hidden: H, heads, intermediate: I } = TINY;
  write.matrix(`${at}.self_attn.q_proj`, [heads * headDim, H], PROJECTION);
  write.vector(`${at}.self_attn.q_norm.weight`, headDim, 0.5);
  write.matrix(`${at}.self_attn.o_proj`, [H, heads * headDim], PROJECTION);
  write.matrix(`${at}.mlp.gate_proj`, [I, H], PROJECTION);
  write.matrix(`${at}.mlp.up_proj`, [I, H], PROJECTION);
  write.matrix(`${at}.mlp.down_proj`, [H, I], PROJECTION);
  for (const norm of ["input", "post_attention", "pre_feedforward", "post_feedforward"]) {
    write.vector(`${at}.${norm}_layernorm.weight`, H, 1);
  }
  write.vector(`${at}.layer_scalar`, 1, 1);
}

function textConfig(experts: boolean, layerTypes: readonly string[]): object {
  const rope = { rope_type: "default", rope_theta: TINY.theta };
  return {
    vocab_size: TINY.vocab,
    hidden_size: TINY.hidden,
    intermediate_size: TINY.intermediate,
    num_hidden_layers: layerTypes.length,
    layer_types: layerTypes,
    num_attention_heads: TINY.heads,
    num_key_value_heads: experts ? 2 : 1,
    num_global_key_value_heads: experts ? 1 : null,
    attention_k_eq_v: experts,
    head_dim: TINY.headDim.sliding_attention,
    global_head_dim: TINY.headDim.full_attention,
    sliding_window: TINY.window,
    rms_norm_eps: TINY.eps,
    hidden_activation: "gelu_pytorch_tanh",
    rope_parameters: { sliding_attention: rope, full_attention: rope },
    max_position_embeddings: 4096,
    enable_moe_block: experts,
    ...(experts
      ? {
          num_experts: TINY.experts.count,
          top_k_experts: TINY.experts.topK,
          moe_intermediate_size: TINY.experts.intermediateSize,
        }
      : {}),
  };
}

/** One packing for all, and what differs by module. */
export function quantizationBlock(
  packed: Readonly<Record<string, NativeQuantization>> | undefined,
  names: Iterable<string>,
  prefix: string,
): object {
  if (!packed) return {};
  const block = ({ groupSize, bits, mode }: NativeQuantization) => ({ group_size: groupSize, bits, mode });
  const [common] = Object.values(packed);
  if (!common) throw new Error("nothing is packed");
  const quantization: Record<string, unknown> = block(common);
  for (const name of names) {
    const module = name.replace(/\.weight$/, "");
    const own = packed[module];
    if (!own && /proj|projection|embed|centroids|gate/.test(module)) quantization[prefix + module] = false;
    if (own && JSON.stringify(own) !== JSON.stringify(common)) quantization[prefix + module] = block(own);
  }
  return { quantization, quantization_config: quantization };
}

export function writeFolder(
  folder: string,
  config: object,
  tensors: ReadonlyMap<string, StoredTensor>,
  prefix: string,
): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const named = [...tensors].map(([name, tensor]) => [prefix + name, asBfloat16(tensor)] as const);
  writeSafetensors(join(folder, "model.safetensors"), new Map(named));
  return folder;
}
