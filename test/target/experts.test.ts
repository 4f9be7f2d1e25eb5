import { describe, expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import type { NativeTarget } from "../../src/mlx/native.js";
import { oneTokenLogits } from "../support/reference-layer.js";
import { floatsOf, floatTensor, type StoredTensor } from "../support/tensors.js";
import { nativeSession, nativeTarget, TINY, type TinyTarget, tinyTarget } from "../support/tiny-target.js";
import { distance, sameBits, stepOn } from "./helpers.js";

const IDS = [3, 90, 41, 17, 3, 65, 8, 77, 20, 51, 33, 12];
const exact = addon().kernels() !== "mlx";

const changed = (
  { plain }: TinyTarget,
  name: string,
  change: (values: Float32Array) => Float32Array,
): Map<string, StoredTensor> => {
  const tensor = plain.get(name);
  if (!tensor) throw new Error(`${name} is missing`);
  return new Map(plain).set(name, floatTensor(change(floatsOf(tensor).slice()), tensor.shape));
};

const firstLogits = async (target: NativeTarget, id: number): Promise<Float32Array> =>
  (await stepOn(nativeSession(target), [id])).logits.values;

describe("a layer with experts", () => {
  const one = tinyTarget({ experts: "stacked", layers: ["full_attention"] });

  it("gives what the equations give, worked out in double precision", async () => {
    const target = nativeTarget(one.config, one.plain);
    for (const id of [0, 7, 42, 95]) {
      expect(distance(await firstLogits(target, id), oneTokenLogits(one.plain, id))).toBeLessThan(1e-5);
    }
  });

  it.each<[string, (values: Float32Array) => Float32Array]>([
    ["layers.0.router.scale", (values) => values.map((value, i) => (i % 2 ? value : -value))],
    ["layers.0.router.per_expert_scale", (values) => values.map((value) => value + 1)],
    ["layers.0.experts.down_proj", (values) => values.map((value) => -value)],
    ["layers.0.post_feedforward_layernorm_1.weight", (values) => values.map((value, i) => value + i)],
    ["layers.0.pre_feedforward_layernorm_2.weight", (values) => values.map((value, i) => value + i)],
    ["layers.0.post_feedforward_layernorm_2.weight", (values) => values.map((value, i) => value + i)],
  ])("reads %s (negative control)", async (name, change) => {
    const tensors = changed(one, name, change);
    const found = await firstLogits(nativeTarget(one.config, tensors), 42);
    expect(distance(found, oneTokenLogits(one.plain, 42))).toBeGreaterThan(1e-3);
    expect(distance(found, oneTokenLogits(tensors, 42))).toBeLessThan(1e-5);
  });

  // A norm follows, which hides a common factor of the shares unless the sum is as small as its eps.
  it("makes the shares of a token's experts add up to one", async () => {
    const tensors = changed(one, "layers.0.experts.down_proj", (values) =>
      values.map((value) => value / 512),
    );
    for (const id of [0, 7, 42, 95]) {
      const found = await firstLogits(nativeTarget(one.config, tensors), id);
      expect(distance(found, oneTokenLogits(tensors, id))).toBeLessThan(1e-5);
    }
  });

  it("takes experts of lower number first where all are equally probable", async () => {
    const tensors = changed(one, "layers.0.router.proj.weight", (values) => values.fill(0));
    const found = await firstLogits(nativeTarget(one.config, tensors), 7);
    expect(distance(found, oneTokenLogits(tensors, 7))).toBeLessThan(1e-5);
    const last = changed({ ...one, plain: tensors }, "layers.0.experts.down_proj", (values) => {
      const each = values.length / TINY.experts.count;
      return values.fill(0, TINY.experts.topK * each);
    });
    expect(sameBits(await firstLogits(nativeTarget(one.config, last), 7), found)).toBe(true);
  });

  it("knows both packagings", async () => {
    const split = nativeTarget(one.config, splitExperts(one.plain));
    const stacked = nativeTarget(one.config, one.plain);
    for (const id of [7, 42]) {
      expect(distance(await firstLogits(split, id), await firstLogits(stacked, id))).toBeLessThan(
        exact ? 1e-30 : 1e-5,
      );
    }
  });

  it("does with every expert active as with few", async () => {
    const { count } = TINY.experts;
    const all = { ...one.config, experts: { ...TINY.experts, topK: count } };
    const found = await firstLogits(nativeTarget(all, one.plain), 42);
    expect(distance(found, oneTokenLogits(one.plain, 42, count))).toBeLessThan(1e-5);
    expect(distance(found, oneTokenLogits(one.plain, 42))).toBeGreaterThan(1e-3);
  });
});

describe.each(["float32", "bfloat16", "float16"] as const)(
  "blocks of a model with experts in %s",
  (dtype) => {
    it("give each row the bits it has alone, whatever experts the others choose", async () => {
      const tiny = tinyTarget({ experts: "split" });
      const target = nativeTarget(tiny.config, tiny.plain, dtype);
      const whole = await stepOn(nativeSession(target), IDS);
      const single = nativeSession(target);
      const blocks = nativeSession(target);
      for (const [place, id] of IDS.entries()) {
        const { logits } = await stepOn(single, [id]);
        expect(sameBits(logits.values, whole.logits.rows(place, place + 1)), `row ${place}`).toBe(true);
      }
      for (const size of [1, 2, 3, 4]) {
        // A rejected row stands in each block, and is cut.
        const place = (size * (size - 1)) / 2;
        const found = await stepOn(blocks, [...IDS.slice(place, place + size), 95]);
        blocks.keep(size);
        const expected = whole.logits.rows(place, place + size);
        expect(sameBits(found.logits.rows(0, size), expected), `${size} rows`).toBe(true);
      }
    });
  },
);

describe("weights of experts that do not fit", () => {
  const tiny = tinyTarget({ experts: "split", layers: ["full_attention"] });
  const { experts: _, ...without } = tiny.config;
  const drop = (name: string) => new Map([...tiny.plain].filter(([key]) => key !== name));
  const { count, intermediateSize: M } = TINY.experts;
  const H = TINY.hidden;
  const reshaped = (name: string, shape: number[]) =>
    new Map(tiny.plain).set(name, floatTensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape));

  it.each<[string, ReadonlyMap<string, StoredTensor>, string]>([
    ["no router", drop("layers.0.router.proj.weight"), "tensor layers.0.router.proj.weight is missing"],
    [
      "no up projection",
      drop("layers.0.experts.switch_glu.up_proj.weight"),
      "tensor layers.0.experts.switch_glu.up_proj.weight is missing",
    ],
    ["no norm", drop("layers.0.post_feedforward_layernorm_2.weight"), "layernorm_2.weight is missing"],
    [
      "too few experts",
      reshaped("layers.0.experts.switch_glu.down_proj.weight", [count - 1, H, M]),
      `layers.0.experts.switch_glu.down_proj.weight: expected shape (${count}, ${H}, ${M}), found (${count - 1}, ${H}, ${M})`,
    ],
    [
      "a router of another width",
      reshaped("layers.0.router.proj.weight", [count, H + 32]),
      `layers.0.router.proj.weight: expected shape (${count}, ${H})`,
    ],
    [
      "scales of too few experts",
      reshaped("layers.0.router.per_expert_scale", [count - 1]),
      "layers.0.router.per_expert_scale: expected shape",
    ],
    [
      "stacked weights half as wide",
      reshaped("layers.0.experts.gate_up_proj", [count, M, H]),
      `layers.0.experts.gate_up_proj: expected shape (${count}, ${2 * M}, ${H})`,
    ],
  ])("%s", (_name, tensors, message) => {
    expect(() => nativeTarget(tiny.config, tensors)).toThrow(message);
  });

  it.each<[string, object, string]>([
    ["no count", { topK: 1, intermediateSize: M }, "count must be a number"],
    ["more active experts than there are", { ...TINY.experts, topK: count + 1 }, "top_k_experts must be"],
    ["no active experts", { ...TINY.experts, topK: 0 }, "top_k_experts must be"],
    ["half an expert", { ...TINY.experts, count: 1.5 }, "count must be an integer"],
  ])("a config with %s", (_name, experts, message) => {
    const config = { ...without, experts };
    expect(() => Reflect.apply(nativeTarget, null, [config, tiny.plain])).toThrow(message);
  });
});

/** MLX's packaging of the reference's tensors. */
function splitExperts(tensors: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> {
  const { count, intermediateSize: M } = TINY.experts;
  const H = TINY.hidden;
  const split = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) {
    const prefix = name.replace(/gate_up_proj$|down_proj$/, "");
    if (name.endsWith("experts.gate_up_proj")) {
      const values = floatsOf(tensor);
      for (const [half, part] of ["gate_proj", "up_proj"].entries()) {
        const own = new Float32Array(count * M * H);
        for (let e = 0; e < count; e++) {
          const from = (2 * e + half) * M * H;
          own.set(values.subarray(from, from + M * H), e * M * H);
        }
        split.set(`${prefix}switch_glu.${part}.weight`, floatTensor(own, [count, M, H]));
      }
    } else if (name.endsWith("experts.down_proj")) split.set(`${prefix}switch_glu.down_proj.weight`, tensor);
    else split.set(name, tensor);
  }
  return split;
}
