// The tensors of a checkpoint, by the names of both packagings: name, dtype, shape and what to fill them with.
import { bits, multiple, normal, permutation, positive } from "./fill.mjs";

const F = "full_attention";

/** A weight with its values; `quantizable` when conversions of MLX pack it. */
const weight = (name, shape, fill, quantizable = false) => ({
  name,
  dtype: "BF16",
  shape,
  fill,
  quantizable,
});
/** A projection (out, in) that keeps the size of what it is applied to, times `gain`. */
const linear = (name, out, input, gain = 1) =>
  weight(`${name}.weight`, [out, input], normal(gain / Math.sqrt(input)), true);
/** A table (rows, width) whose rows, times sqrt(width), are of size `gain`. */
const table = (name, rows, width, gain, scale = width) =>
  weight(`${name}.weight`, [rows, width], normal(gain / Math.sqrt(scale)), true);
/** Norm weights in [2^exponent, 2^(exponent + 2)). */
const norm = (name, size, exponent = -1) => weight(`${name}.weight`, [size], positive(exponent, 2));

/** Tensors of a target's text model without prefix. `unusedKv`: K/V weights of KV-shared layers too, as some carry. */
export function targetTensors(config, { unusedKv = false } = {}) {
  const { hidden_size: H, vocab_size: V, num_hidden_layers: L } = config;
  const P = config.hidden_size_per_layer_input ?? 0;
  const producers = L - config.num_kv_shared_layers;
  return [
    // Times sqrt(H) of size 1: beside what the layers add, a token's own row does not decide its successor.
    table("embed_tokens", V, H, 1),
    ...(P > 0
      ? [
          table("embed_tokens_per_layer", V, L * P, 1, P),
          linear("per_layer_model_projection", L * P, H),
          norm("per_layer_projection_norm", P),
        ]
      : []),
    ...config.layer_types.flatMap((type, i) => {
      const prefix = `layers.${i}.`;
      const produces = i < producers;
      const doubled = config.use_double_wide_mlp && !produces;
      return [
        ...layerTensors(prefix, config, type, doubled ? 2 : 1),
        ...(produces || unusedKv ? kvTensors(prefix, config, type) : []),
        ...(config.enable_moe_block ? expertTensors(prefix, config) : []),
        ...(P > 0
          ? [
              linear(`${prefix}per_layer_input_gate`, P, H),
              linear(`${prefix}per_layer_projection`, H, P),
              norm(`${prefix}post_per_layer_input_norm`, H),
            ]
          : []),
      ];
    }),
    norm("norm", H),
  ];
}

const headDim = (config, type) => (type === F ? config.global_head_dim : config.head_dim);

function layerTensors(prefix, config, type, wide = 1) {
  const { hidden_size: H, num_attention_heads: heads } = config;
  const d = headDim(config, type);
  const I = config.intermediate_size * wide;
  return [
    norm(`${prefix}input_layernorm`, H),
    linear(`${prefix}self_attn.q_proj`, heads * d, H),
    // Attention has no scale of its own: at this size scores of heads of 256 stay near 2.
    weight(`${prefix}self_attn.q_norm.weight`, [d], positive(-2)),
    linear(`${prefix}self_attn.o_proj`, H, heads * d),
    // What a layer adds outweighs the embedding.
    norm(`${prefix}post_attention_layernorm`, H, 1),
    norm(`${prefix}pre_feedforward_layernorm`, H),
    linear(`${prefix}mlp.gate_proj`, I, H),
    linear(`${prefix}mlp.up_proj`, I, H),
    linear(`${prefix}mlp.down_proj`, H, I),
    norm(`${prefix}post_feedforward_layernorm`, H, 1),
    weight(`${prefix}layer_scalar`, [1], positive(-1)),
  ];
}

function kvTensors(prefix, config, type) {
  const d = headDim(config, type);
  const sameKv = config.attention_k_eq_v && type === F;
  const heads = sameKv ? config.num_global_key_value_heads : config.num_key_value_heads;
  const rows = heads * d;
  return [
    linear(`${prefix}self_attn.k_proj`, rows, config.hidden_size),
    weight(`${prefix}self_attn.k_norm.weight`, [d], positive(-2)),
    ...(sameKv ? [] : [linear(`${prefix}self_attn.v_proj`, rows, config.hidden_size)]),
  ];
}

/** As MLX splits them; {@link referenceExperts} joins gate and up. */
function expertTensors(prefix, config) {
  const { hidden_size: H, num_experts: E, moe_intermediate_size: M } = config;
  const expert = (name, out, input) =>
    weight(`${prefix}experts.switch_glu.${name}.weight`, [E, out, input], normal(1 / Math.sqrt(input)), true);
  return [
    weight(`${prefix}router.scale`, [H], positive(-1, 2)),
    // Its input has length 1, not sqrt(H): rows of this size give scores worth choosing by.
    weight(`${prefix}router.proj.weight`, [E, H], normal(1.5), "router"),
    weight(`${prefix}router.per_expert_scale`, [E], positive(-1, 2)),
    expert("gate_proj", M, H),
    expert("up_proj", M, H),
    expert("down_proj", H, M),
    ...["post_feedforward_layernorm_1", "post_feedforward_layernorm_2", "pre_feedforward_layernorm_2"].map(
      (name) => norm(`${prefix}${name}`, H),
    ),
  ];
}

/** The reference's packaging of experts: gate and up in one tensor, no `.weight`. */
export function referenceExperts(tensors) {
  return tensors.flatMap((tensor) => {
    const at = tensor.name.indexOf("switch_glu.");
    if (at < 0) return [tensor];
    const [E, out, input] = tensor.shape;
    const name = (kind) => `${tensor.name.slice(0, at)}${kind}`;
    if (tensor.name.endsWith("up_proj.weight")) return [];
    return tensor.name.endsWith("gate_proj.weight")
      ? [{ ...tensor, name: name("gate_up_proj"), shape: [E, 2 * out, input] }]
      : [{ ...tensor, name: name("down_proj") }];
  });
}

/** Tensors of an assistant, by the names of its file. */
export function assistantTensors(config) {
  const { text_config: text, backbone_hidden_size: B } = config;
  const { hidden_size: H, vocab_size: V } = text;
  return [
    linear("pre_projection", H, 2 * B),
    linear("post_projection", B, H),
    ...(config.use_ordered_embeddings
      ? [
          weight("masked_embedding.centroids.weight", [config.num_centroids, H], normal(1 / Math.sqrt(H))),
          { name: "masked_embedding.token_ordering", dtype: "I64", shape: [V], fill: permutation },
        ]
      : []),
    table("model.embed_tokens", V, H, 1),
    ...text.layer_types.flatMap((type, i) => layerTensors(`model.layers.${i}.`, text, type)),
    norm("model.norm", H),
  ];
}

/** A few small tensors of the parts that a text loader must leave alone. */
export function otherParts({ family, hasAudio }) {
  const audio = hasAudio ? ["embed_audio.embedding_projection.weight"] : [];
  const names =
    family === "gemma4_unified"
      ? ["vision_embedder.patch_dense.weight", ...audio]
      : [
          "vision_tower.patch_embedder.input_proj.weight",
          "vision_tower.encoder.layers.0.self_attn.q_proj.linear.weight",
          "embed_vision.embedding_projection.weight",
          ...(hasAudio ? ["audio_tower.layers.0.norm_out.weight", ...audio] : []),
        ];
  return names.map((name) => weight(name, [64, 64], normal(0.02)));
}

/**
 * Packs what conversions of MLX pack, affine: random words, and scales and biases that give weights around 0 of the
 * same size as the unpacked ones.
 *
 * @returns the tensors, and the overrides of the `quantization` block by module
 */
export function quantized(tensors, { bits: width, groupSize }) {
  const overrides = {};
  const packed = tensors.flatMap((tensor) => {
    const { name, shape, quantizable, fill } = tensor;
    const input = shape.at(-1);
    if (!quantizable || input % groupSize !== 0) return [tensor];
    const module = name.replace(/\.weight$/, "");
    const wide = quantizable === "router" ? 8 : width; // as mlx-vlm does
    if (wide !== width) overrides[module] = { group_size: groupSize, bits: wide };
    const std = 2.4 * 2 ** fill.exponent;
    // Levels are even from 0 to 2^bits - 1: their deviation is 2^bits / sqrt(12); scales are 1.5 · 2^exponent on average.
    const exponent = Math.round(Math.log2((std * Math.sqrt(12)) / 2 ** wide / 1.5));
    const groups = [...shape.slice(0, -1), input / groupSize];
    const scales = { dtype: "BF16", shape: groups, seedName: `${module}.scales` };
    return [
      { name, dtype: "U32", shape: [...shape.slice(0, -1), (input * wide) / 32], fill: bits },
      { ...scales, name: `${module}.scales`, fill: positive(exponent) },
      // With the scales' seed: each bias moves the middle of its scale's levels to 0.
      { ...scales, name: `${module}.biases`, fill: multiple(positive(exponent), (1 - 2 ** wide) / 2) },
    ];
  });
  return { tensors: packed, overrides };
}
