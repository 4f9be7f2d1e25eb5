import type { ModelShape } from "../configuration.js";
import { layersOf } from "../model.js";
import {
  add,
  attend,
  gelu,
  mlp,
  normHeads,
  product,
  rmsNorm,
  rope,
  softmax,
  times,
  topOf,
  type Vector,
  type Weights,
} from "./numbers.js";

/** Keys and values of one producer, a row a position. */
export interface ReferenceKv {
  readonly keys: Vector[];
  readonly values: Vector[];
}

/** What the target says of a text. */
export interface ReferenceRun {
  readonly logits: readonly Vector[];
  readonly hidden: readonly Vector[];
  /** Of the last producer of each type. */
  readonly shared: { readonly f?: ReferenceKv; readonly s?: ReferenceKv };
  /** By position: how far the last chosen expert's score is above the next one's, in the layer where that is nearest. */
  readonly expertMargins: readonly number[];
}

export function frequenciesOf(model: ModelShape, letter: "f" | "s"): number[] {
  const d = letter === "f" ? model.globalHeadDim : model.headDim;
  // Without rope_parameters full layers turn a quarter of their pairs, slowly.
  const theta = model.ropeGiven ? (letter === "f" ? 3000 : 100) : letter === "f" ? 1e6 : 1e4;
  const turning = letter === "f" && !model.ropeGiven ? Math.floor((0.25 * d) / 2) : d / 2;
  return Array.from({ length: d / 2 }, (_, j) => (j < turning ? theta ** ((-2 * j) / d) : 0));
}

/** The whole text at once: row i sees what row i may see. */
export function runReference(model: ModelShape, weights: Weights, ids: readonly number[]): ReferenceRun {
  const { letters, shared } = layersOf(model);
  const H = model.hidden;
  const table = weights("embed_tokens.weight");
  const embedded = ids.map((id) => embed(table, id, H));
  let h = embedded;
  const perLayer = model.family === "e-style" ? perLayerInputs(model, weights, ids, embedded) : undefined;
  const kv: { f?: ReferenceKv; s?: ReferenceKv } = {};
  const expertMargins = ids.map(() => Number.POSITIVE_INFINITY);
  for (const [index, letter] of letters.entries()) {
    const layer: Weights = (name) => weights(`layers.${index}.${name}`);
    const frequencies = frequenciesOf(model, letter);
    const d = 2 * frequencies.length;
    const normed = h.map((row) => rmsNorm(row, layer("input_layernorm.weight")));
    if (index < letters.length - shared) kv[letter] = keysValues(model, layer, letter, normed, frequencies);
    const own = kv[letter];
    if (!own) throw new Error("a layer that shares has no producer");
    h = h.map((row, position) => {
      const from = letter === "s" ? Math.max(0, position - model.window + 1) : 0;
      const rows = { keys: own.keys.slice(from, position + 1), values: own.values.slice(from, position + 1) };
      const query = queryOf(layer, normed[position] ?? row, position, frequencies);
      const attended = product(layer("self_attn.o_proj.weight"), attend(query, rows.keys, rows.values, d));
      let out = add(row, rmsNorm(attended, layer("post_attention_layernorm.weight")));
      const fed = feedForward(model, layer, out);
      expertMargins[position] = Math.min(expertMargins[position] ?? 0, fed.expertMargin);
      out = add(out, rmsNorm(fed.out, layer("post_feedforward_layernorm.weight")));
      const input = perLayer?.[position]?.[index];
      if (input) out = add(out, gated(layer, out, input));
      return times(out, layer("layer_scalar")[0] ?? 1);
    });
  }
  const hidden = h.map((row) => rmsNorm(row, weights("norm.weight")));
  const cap = (x: number) => (model.softcap ? 30 * Math.tanh(x / 30) : x);
  return { logits: hidden.map((row) => product(table, row).map(cap)), hidden, shared: kv, expertMargins };
}

/** A token as the layers and the drafter get it. */
export function embed(table: Float32Array, id: number, H: number): Vector {
  return times(Float64Array.from(table.subarray(id * H, (id + 1) * H)), Math.sqrt(H));
}

export function queryOf(layer: Weights, x: Vector, position: number, frequencies: readonly number[]): Vector {
  const query = product(layer("self_attn.q_proj.weight"), x);
  const normed = normHeads(query, 2 * frequencies.length, layer("self_attn.q_norm.weight"));
  return rope(normed, position, frequencies);
}

function keysValues(
  model: ModelShape,
  layer: Weights,
  letter: "f" | "s",
  rows: readonly Vector[],
  frequencies: readonly number[],
): ReferenceKv {
  const d = 2 * frequencies.length;
  const same = model.family !== "e-style" && model.keyEqualsValue && letter === "f";
  const raw = rows.map((row) => product(layer("self_attn.k_proj.weight"), row));
  const rawValues = same ? raw : rows.map((row) => product(layer("self_attn.v_proj.weight"), row));
  return {
    keys: raw.map((row, position) =>
      rope(normHeads(row, d, layer("self_attn.k_norm.weight")), position, frequencies),
    ),
    values: rawValues.map((row) => normHeads(row, d)),
  };
}

/** By position and layer. */
function perLayerInputs(
  { perLayerInput: P, hidden: H }: ModelShape,
  weights: Weights,
  ids: readonly number[],
  embedded: readonly Vector[],
): Vector[][] {
  const table = weights("embed_tokens_per_layer.weight");
  const projection = weights("per_layer_model_projection.weight");
  const norm = weights("per_layer_projection_norm.weight");
  const width = projection.length / H; // L · P
  return ids.map((id, position) => {
    const row = times(product(projection, embedded[position] ?? new Float64Array(H)), H ** -0.5);
    return Array.from({ length: width / P }, (_, index) => {
      const at = id * width + index * P;
      const token = times(Float64Array.from(table.subarray(at, at + P)), Math.sqrt(P));
      return times(add(rmsNorm(row.slice(index * P, (index + 1) * P), norm), token), 2 ** -0.5);
    });
  });
}

function gated(layer: Weights, h: Vector, input: Vector): Vector {
  const gate = product(layer("per_layer_input_gate.weight"), h).map((x, i) => gelu(x) * (input[i] ?? 0));
  const projected = product(layer("per_layer_projection.weight"), gate);
  return rmsNorm(projected, layer("post_per_layer_input_norm.weight"));
}

interface Fed {
  readonly out: Vector;
  readonly expertMargin: number;
}

function feedForward(model: ModelShape, layer: Weights, h: Vector): Fed {
  const dense = denseMlp(layer, rmsNorm(h, layer("pre_feedforward_layernorm.weight")));
  if (model.family !== "moe") return { out: dense, expertMargin: Number.POSITIVE_INFINITY };
  const { out, expertMargin } = experts(model, layer, h);
  const sum = add(
    rmsNorm(dense, layer("post_feedforward_layernorm_1.weight")),
    rmsNorm(out, layer("post_feedforward_layernorm_2.weight")),
  );
  return { out: sum, expertMargin };
}

export function denseMlp(layer: Weights, x: Vector): Vector {
  const [gate, up, down] = ["gate", "up", "down"].map((part) => layer(`mlp.${part}_proj.weight`));
  if (!gate || !up || !down) throw new Error("no MLP");
  return mlp(x, gate, up, down);
}

function experts({ topExperts }: ModelShape, layer: Weights, h: Vector): Fed {
  const H = h.length;
  const scale = layer("router.scale");
  const routed = rmsNorm(h).map((value, i) => value * (scale[i] ?? 0) * H ** -0.5);
  const scores = product(layer("router.proj.weight"), routed);
  const shares = softmax(scores);
  const { chosen, margin: expertMargin } = topOf(scores, topExperts);
  const total = chosen.reduce((sum, expert) => sum + (shares[expert] ?? 0), 0);
  const x = rmsNorm(h, layer("pre_feedforward_layernorm_2.weight"));
  let out: Vector = new Float64Array(H);
  for (const expert of chosen) {
    const weight = ((shares[expert] ?? 0) / total) * (layer("router.per_expert_scale")[expert] ?? 0);
    const { gate, up, down } = expertOf(layer, expert, shares.length);
    out = add(out, times(mlp(x, gate, up, down), weight));
  }
  return { out, expertMargin };
}

/** One expert's matrices, from either packaging. */
function expertOf(layer: Weights, expert: number, count: number) {
  const part = (all: Float32Array, pieces: number, piece: number) => {
    const size = all.length / pieces;
    return all.subarray(piece * size, (piece + 1) * size);
  };
  try {
    const both = layer("experts.gate_up_proj");
    return {
      gate: part(both, 2 * count, 2 * expert),
      up: part(both, 2 * count, 2 * expert + 1),
      down: part(layer("experts.down_proj"), count, expert),
    };
  } catch {
    const split = (name: string) => part(layer(`experts.switch_glu.${name}_proj.weight`), count, expert);
    return { gate: split("gate"), up: split("up"), down: split("down") };
  }
}
