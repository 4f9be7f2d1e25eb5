import { floatsOf, type StoredTensor } from "./tensors.js";
import { TINY } from "./tiny-target.js";

// One full-attention layer with experts on one token, in double precision and plain loops, from the equations of
// Gemma4TextDecoderLayer, Gemma4TextRouter and Gemma4TextExperts. With one key, attention gives the values themselves.

type Vector = readonly number[];

/** Logits of a one-layer model (stacked experts) for a text of one token. */
export function oneTokenLogits(
  tensors: ReadonlyMap<string, StoredTensor>,
  id: number,
  topK: number = TINY.experts.topK,
): Float32Array {
  const { hidden: H, vocab, softcap } = TINY;
  const read = (name: string): Vector => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`${name} is missing`);
    return [...floatsOf(tensor)];
  };
  const layer = (name: string): Vector => read(`layers.0.${name}`);
  const embedding = read("embed_tokens.weight");
  const factor = Math.fround(Math.sqrt(H));
  let h: Vector = embedding.slice(id * H, (id + 1) * H).map((value) => value * factor);
  h = sum(
    h,
    normed(
      attention(normed(h, layer("input_layernorm.weight")), layer),
      layer("post_attention_layernorm.weight"),
    ),
  );
  const dense = mlp(normed(h, layer("pre_feedforward_layernorm.weight")), {
    gate: layer("mlp.gate_proj.weight"),
    up: layer("mlp.up_proj.weight"),
    down: layer("mlp.down_proj.weight"),
  });
  const fed = sum(
    normed(dense, layer("post_feedforward_layernorm_1.weight")),
    normed(experts(h, layer, topK), layer("post_feedforward_layernorm_2.weight")),
  );
  h = sum(h, normed(fed, layer("post_feedforward_layernorm.weight")));
  const [scalar = 1] = layer("layer_scalar");
  const last = normed(
    h.map((value) => value * scalar),
    read("norm.weight"),
  );
  return Float32Array.from(product(embedding, last, vocab), (x) => softcap * Math.tanh(x / softcap));
}

function attention(x: Vector, layer: (name: string) => Vector): Vector {
  const d = TINY.headDim.full_attention;
  const values = normed(product(layer("self_attn.k_proj.weight"), x, d)); // One K/V head.
  const heads = Array.from({ length: TINY.heads }, () => values).flat();
  return product(layer("self_attn.o_proj.weight"), heads, TINY.hidden);
}

function experts(h: Vector, layer: (name: string) => Vector, topK: number): Vector {
  const { hidden: H } = TINY;
  const { count, intermediateSize: M } = TINY.experts;
  const scale = layer("router.scale");
  const routed = normed(h).map((value, i) => (value * (scale[i] ?? 0)) / Math.sqrt(H));
  const scores = product(layer("router.proj.weight"), routed, count);
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const total = powers.reduce((a, b) => a + b);
  const probabilities = powers.map((power) => power / total);
  const chosen = [...probabilities.keys()]
    .sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0) || a - b)
    .slice(0, topK);
  const share = chosen.reduce((all, expert) => all + (probabilities[expert] ?? 0), 0);
  const perExpert = layer("router.per_expert_scale");
  const x = normed(h, layer("pre_feedforward_layernorm_2.weight"));
  const gateUp = layer("experts.gate_up_proj");
  const down = layer("experts.down_proj");
  let out: Vector = new Array<number>(H).fill(0);
  for (const expert of chosen) {
    const first = expert * 2 * M * H;
    const one = mlp(x, {
      gate: gateUp.slice(first, first + M * H),
      up: gateUp.slice(first + M * H, first + 2 * M * H),
      down: down.slice(expert * H * M, (expert + 1) * H * M),
    });
    const weight = ((probabilities[expert] ?? 0) / share) * (perExpert[expert] ?? 0);
    out = out.map((value, i) => value + weight * (one[i] ?? 0));
  }
  return out;
}

function mlp(x: Vector, { gate, up, down }: { gate: Vector; up: Vector; down: Vector }): Vector {
  const inner = up.length / x.length;
  const ups = product(up, x, inner);
  const active = product(gate, x, inner).map((value, i) => gelu(value) * (ups[i] ?? 0));
  return product(down, active, down.length / inner);
}

function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function normed(x: Vector, weight?: Vector): Vector {
  const mean = x.reduce((all, value) => all + value * value, 0) / x.length;
  return x.map((value, i) => (value / Math.sqrt(mean + TINY.eps)) * (weight?.[i] ?? 1));
}

/** matrix (rows, x.length) · x */
function product(matrix: Vector, x: Vector, rows: number): number[] {
  return Array.from({ length: rows }, (_, row) => {
    let all = 0;
    for (const [i, value] of x.entries()) all += value * (matrix[row * x.length + i] ?? 0);
    return all;
  });
}

function sum(a: Vector, b: Vector): Vector {
  return a.map((value, i) => value + (b[i] ?? 0));
}
