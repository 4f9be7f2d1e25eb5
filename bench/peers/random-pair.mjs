// Random pairs for figures where only cost counts: acceptance is near 0, so that a round costs all that it can cost.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeModel } from "../real-shapes/models.mjs";
import { bytesOf, writeCheckpoint } from "../real-shapes/safetensors-writer.mjs";
import { assistantTensors, targetTensors } from "../real-shapes/tensors.mjs";
import { tokenizerJson } from "../real-shapes/tokenizer.mjs";

const SEED = 1;
const SHARD_BYTES = 5e9;
const E2B = describeModel("E2B");
const period = (sliding) => [...Array(sliding).fill("sliding_attention"), "full_attention"];

/** 208 M parameters, of which a step reads 174 M; its assistant has 13.6 M. */
const small = {
  vocab_size: 32_768,
  vocab_size_per_layer_input: 32_768,
  head_dim: 128,
  global_head_dim: 256,
};
const SHAPES = {
  /** 23 M parameters, of which a step reads 18 M: quick, and larger than the embedded pair; for tests. */
  "23m": {
    target: {
      ...E2B.target,
      vocab_size: 16_384,
      vocab_size_per_layer_input: 16_384,
      head_dim: 64,
      global_head_dim: 128,
      hidden_size: 320,
      intermediate_size: 1024,
      use_double_wide_mlp: true,
      num_hidden_layers: 10,
      layer_types: [...period(4), ...period(4)],
      num_kv_shared_layers: 5,
      hidden_size_per_layer_input: 32,
      sliding_window: 128,
    },
    assistant: {
      ...E2B.assistant,
      backbone_hidden_size: 320,
      num_centroids: 128,
      text_config: {
        ...E2B.assistant.text_config,
        vocab_size: 16_384,
        vocab_size_per_layer_input: 0,
        head_dim: 64,
        global_head_dim: 128,
        hidden_size: 128,
        intermediate_size: 256,
        num_attention_heads: 4,
        sliding_window: 128,
      },
    },
  },
  "208m": {
    target: {
      ...E2B.target,
      ...small,
      hidden_size: 768,
      intermediate_size: 3072,
      use_double_wide_mlp: false,
      num_hidden_layers: 16,
      layer_types: [...period(4), ...period(4), ...period(5)],
      num_kv_shared_layers: 6,
      hidden_size_per_layer_input: 64,
    },
    assistant: {
      ...E2B.assistant,
      backbone_hidden_size: 768,
      num_centroids: 256,
      text_config: {
        ...E2B.assistant.text_config,
        ...small,
        vocab_size_per_layer_input: 0, // transformers demands it of an assistant
        hidden_size: 256,
        intermediate_size: 640,
        num_attention_heads: 8,
      },
    },
  },
  /** All 35 layers of the real one. */
  e2b: {
    target: {
      ...E2B.target,
      num_hidden_layers: 35,
      layer_types: Array(7).fill(period(4)).flat(),
      num_kv_shared_layers: 20,
    },
    assistant: {
      ...E2B.assistant,
      text_config: { ...E2B.assistant.text_config, vocab_size_per_layer_input: 0 },
    },
  },
};

/** Tensors and config.json of both parts, as text-only checkpoints: the form that every peer reads. */
function plan(name) {
  const { target, assistant } = SHAPES[name];
  return {
    target: {
      tensors: targetTensors(target).map((tensor) => ({ ...tensor, name: `model.${tensor.name}` })),
      config: { architectures: ["Gemma4ForCausalLM"], ...target, dtype: "bfloat16" },
    },
    assistant: {
      tensors: assistantTensors(assistant),
      config: {
        architectures: ["Gemma4AssistantForCausalLM"],
        model_type: "gemma4_assistant",
        tie_word_embeddings: true,
        dtype: "bfloat16",
        ...assistant,
      },
    },
  };
}

export function randomPairBytes(name) {
  return Object.values(plan(name))
    .flatMap(({ tensors }) => tensors)
    .reduce((sum, tensor) => sum + bytesOf(tensor), 0);
}

/** transformers takes no whole number where it expects a float. */
const withFloats = (json) =>
  json.replace(/"(final_logit_softcapping|attention_dropout|rope_theta)": (\d+)(?=[,\n])/g, '"$1": $2.0');

/** Writes target/ and assistant/ into `folder`: the same bytes each time. */
export function makeRandomPair(name, folder) {
  const tokenizer = tokenizerJson(SHAPES[name].target.vocab_size, SEED);
  for (const [part, { tensors, config }] of Object.entries(plan(name))) {
    const out = join(folder, part);
    mkdirSync(out, { recursive: true });
    const json = (file, value) =>
      writeFileSync(join(out, file), `${withFloats(JSON.stringify(value, null, 2))}\n`);
    json("config.json", config);
    json("generation_config.json", { bos_token_id: 2, eos_token_id: 1, pad_token_id: 0 });
    json("tokenizer_config.json", {
      tokenizer_class: "GemmaTokenizer",
      bos_token: "<bos>",
      eos_token: "<eos>",
      pad_token: "<pad>",
      unk_token: "<unk>",
      mask_token: "<mask>",
    });
    writeFileSync(join(out, "tokenizer.json"), tokenizer);
    writeCheckpoint(out, tensors, { seed: SEED, metadata: "pt", shardBytes: SHARD_BYTES });
  }
}
