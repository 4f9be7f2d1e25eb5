import { describe, expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import { fromInt32 } from "../../src/mlx/array.js";
import type { NativeQuantization, NativeTarget } from "../../src/mlx/native.js";
import { PACKINGS } from "../support/packed.js";
import { floatTensor, integerTensor, type StoredTensor } from "../support/tensors.js";
import { nativeSession, nativeTarget, TINY, type TinyTarget, tinyTarget } from "../support/tiny-target.js";
import type { Packing } from "../support/tiny-writer.js";
import { distance, sameBits, stepOn, valuesOf } from "./helpers.js";

// Past the window twice.
const IDS = Array.from({ length: 2 * TINY.window + 5 }, (_, i) => (i * 37 + 11) % TINY.vocab);
// MLX's own products of packed weights round to the dtype more often than once.
const ROUNDINGS = addon().kernels() === "mlx" ? 4 : 1.5;

/** Packed against the same values as floats, in float32: what differs is the order of sums. */
const TOLERANCE = 1e-4;

// Each width with one size of groups; quantized-ops.test.ts has them all.
const VARIED = PACKINGS.filter(
  ({ mode, bits, groupSize }) => mode !== "affine" || groupSize === [32, 64, 128][bits % 3],
);

const four: NativeQuantization = { groupSize: 32, bits: 4, mode: "affine" };
const eight: NativeQuantization = { groupSize: 64, bits: 8, mode: "affine" };

/** As real conversions mix them: another packing for the router and some layers, some modules left alone. */
const mixed: Packing = (module) => {
  if (module.endsWith("router.proj")) return eight;
  if (module.startsWith("layers.1.self_attn.k_proj")) return undefined;
  if (module.endsWith("switch_glu.down_proj")) return { groupSize: 32, bits: 4, mode: "mxfp4" };
  return module === "embed_tokens" ? { groupSize: 128, bits: 6, mode: "affine" } : four;
};

const kinds: readonly [string, (packing: Packing) => TinyTarget][] = [
  ["experts", (packing) => tinyTarget({ experts: "split", packing })],
  ["per-layer inputs and shared K/V", (packing) => tinyTarget({ packing })],
];

describe.each(kinds)("a packed model with %s", (_, make) => {
  const cases: [string, Packing][] = [
    ...VARIED.map((how): [string, Packing] => [
      `${how.mode}, ${how.bits} bits in groups of ${how.groupSize}`,
      () => how,
    ]),
    ["mixed packings", mixed],
  ];

  it.each(cases)("computes with the values that are packed: %s", async (_name, packing) => {
    const tiny = make(packing);
    const { quantization, ...plainConfig } = tiny.config;
    expect(Object.keys(quantization ?? {}).length).toBeGreaterThan(10);
    const found = await stepOn(nativeSession(nativeTarget(tiny.config, tiny.stored)), IDS);
    const expected = await stepOn(nativeSession(nativeTarget(plainConfig, tiny.plain)), IDS);
    expect(distance(found.logits.values, expected.logits.values)).toBeLessThan(TOLERANCE);
    expect(distance(found.hidden.values, expected.hidden.values)).toBeLessThan(TOLERANCE);
  });

  it.each(["bfloat16", "float16"] as const)("is as near to float32 in %s as floats are", async (dtype) => {
    const tiny = make(mixed);
    // All experts, for a rounding may flip the choice between two that are nearly as probable.
    const experts = { ...TINY.experts, topK: TINY.experts.count };
    const packedConfig = { ...tiny.config, ...(tiny.config.experts ? { experts } : {}) };
    const { quantization: __, ...plainConfig } = packedConfig;
    const logits = async (target: NativeTarget) => (await stepOn(nativeSession(target), IDS)).logits.values;
    const exactly = await logits(nativeTarget(plainConfig, tiny.plain));
    const floats = distance(await logits(nativeTarget(plainConfig, tiny.plain, dtype)), exactly);
    const packed = distance(await logits(nativeTarget(packedConfig, tiny.stored, dtype)), exactly);
    expect(floats).toBeGreaterThan(1e-4);
    expect(packed).toBeLessThan(ROUNDINGS * floats);
  });

  it.each([
    ["four bits", "float32", () => four],
    ["four bits", "bfloat16", () => four],
    ["eight bits", "float16", () => eight],
    ["mxfp4", "bfloat16", () => ({ groupSize: 32, bits: 4, mode: "mxfp4" })],
    ["mixed packings", "float32", mixed],
    ["mixed packings", "bfloat16", mixed],
  ] satisfies [string, "float32" | "bfloat16" | "float16", Packing][])(
    "gives a row the bits it has alone: %s, %s",
    async (_name, dtype, packing) => {
      const tiny = make(packing);
      const target = nativeTarget(tiny.config, tiny.stored, dtype);
      const whole = await stepOn(nativeSession(target), IDS);
      const single = nativeSession(target);
      const blocks = nativeSession(target);
      for (const [place, id] of IDS.entries()) {
        const { logits } = await stepOn(single, [id]);
        expect(sameBits(logits.values, whole.logits.rows(place, place + 1)), `row ${place}`).toBe(true);
      }
      for (let place = 0, size = 1; place + size <= IDS.length; place += size, size = (size % 7) + 1) {
        const found = await stepOn(blocks, [...IDS.slice(place, place + size), 0]);
        blocks.keep(size);
        const expected = whole.logits.rows(place, place + size);
        expect(sameBits(found.logits.rows(0, size), expected), `${size} rows from ${place}`).toBe(true);
      }
    },
  );

  it("notices a packed word, a scale or a bias of another value (negative control)", async () => {
    const tiny = make(() => four);
    const expected = await stepOn(nativeSession(nativeTarget(tiny.config, tiny.stored)), IDS);
    for (const name of [
      "layers.0.mlp.down_proj.weight",
      "embed_tokens.scales",
      "layers.1.self_attn.o_proj.biases",
    ]) {
      const found = await stepOn(nativeSession(nativeTarget(tiny.config, disturbed(tiny, name))), IDS);
      expect(distance(found.logits.values, expected.logits.values), name).toBeGreaterThan(1e-3);
    }
  });

  it.each(["float32", "bfloat16", "float16"] as const)("embeds the packed values: %s", async (dtype) => {
    for (const packing of [() => four, () => eight, mixed] satisfies Packing[]) {
      const tiny = make(packing);
      const { quantization: __, ...plainConfig } = tiny.config;
      const ids = fromInt32(Int32Array.of(95, 0, 17), [1, 3]);
      const found = await valuesOf(nativeTarget(tiny.config, tiny.stored, dtype).embed(ids));
      const expected = await valuesOf(nativeTarget(plainConfig, tiny.plain, dtype).embed(ids));
      expect(sameBits(found, expected)).toBe(true);
    }
  });
});

describe("packed weights that do not fit", () => {
  const tiny = tinyTarget({ experts: "split", packing: () => four, layers: ["full_attention"] });
  const H = TINY.hidden;
  const { count } = TINY.experts;
  const quantized = (module: string, how: object | undefined) => {
    const { [module]: _, ...others } = tiny.config.quantization ?? {};
    return { ...tiny.config, quantization: how ? { ...others, [module]: how } : others };
  };
  const replaced = (name: string, tensor: StoredTensor | undefined) => {
    const tensors = new Map(tiny.stored);
    if (tensor) tensors.set(name, tensor);
    else tensors.delete(name);
    return tensors;
  };
  const words = (...shape: number[]) =>
    integerTensor(new Uint32Array(shape.reduce((a, b) => a * b, 1)), shape);
  const floats = (...shape: number[]) =>
    floatTensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);

  it.each<[string, string, StoredTensor | undefined, string]>([
    ["no scales", "layers.0.mlp.up_proj.scales", undefined, "layers.0.mlp.up_proj.scales is missing"],
    ["no biases", "embed_tokens.biases", undefined, "embed_tokens.biases is missing"],
    [
      "words of another width",
      "layers.0.mlp.up_proj.weight",
      words(128, H / 4),
      `layers.0.mlp.up_proj.weight: expected shape (128, ${H / 8}), found (128, ${H / 4})`,
    ],
    [
      "floats for words",
      "layers.0.mlp.up_proj.weight",
      floats(128, H / 8),
      "layers.0.mlp.up_proj.weight: expected uint32, found float32",
    ],
    [
      "groups of another size",
      "layers.0.mlp.up_proj.scales",
      floats(128, H / 64),
      `layers.0.mlp.up_proj.scales: expected shape (128, ${H / 32}), found (128, ${H / 64})`,
    ],
    [
      "integer scales",
      "layers.0.mlp.up_proj.scales",
      words(128, H / 32),
      "layers.0.mlp.up_proj.scales: expected float32 like norm.weight, found uint32",
    ],
    [
      "biases of another shape",
      "layers.0.self_attn.q_proj.biases",
      floats(1, H / 32),
      "layers.0.self_attn.q_proj.biases: expected shape",
    ],
    [
      "too few experts",
      "layers.0.experts.switch_glu.up_proj.weight",
      words(count - 1, 128, H / 8),
      "layers.0.experts.switch_glu.up_proj.weight: expected shape",
    ],
    [
      "too few rows of the embedding",
      "embed_tokens.weight",
      words(TINY.vocab - 1, H / 8),
      `embed_tokens.weight: expected ${TINY.vocab} rows`,
    ],
    ["no norm to tell the dtype by", "norm.weight", undefined, "norm.weight is missing"],
    [
      "a packed norm",
      "norm.weight",
      words(H),
      "norm.weight: expected bfloat16, float16 or float32, found uint32",
    ],
  ])("%s", (_name, tensor, replacement, message) => {
    expect(() => nativeTarget(tiny.config, replaced(tensor, replacement))).toThrow(message);
  });

  it.each<[string, string, object | undefined, string]>([
    [
      "is not said to be packed",
      "layers.0.mlp.up_proj",
      undefined,
      "layers.0.mlp.up_proj.weight: expected shape",
    ],
    [
      "has other bits",
      "layers.0.mlp.up_proj",
      { ...four, bits: 8 },
      "layers.0.mlp.up_proj.weight: expected shape",
    ],
    [
      "has seven bits",
      "layers.0.mlp.up_proj",
      { ...four, bits: 7 },
      "layers.0.mlp.up_proj.weight: expected shape",
    ],
    [
      "has groups that its rows are no multiple of",
      "layers.0.mlp.up_proj",
      { ...four, groupSize: 96 },
      "layers.0.mlp.up_proj.weight: expected rows of a whole number of groups",
    ],
    [
      "has no groups",
      "layers.0.mlp.up_proj",
      { ...four, groupSize: 0 },
      "expected rows of a whole number of groups",
    ],
    [
      "has another mode",
      "layers.0.mlp.up_proj",
      { ...four, mode: "mxfp4" },
      "layers.0.mlp.up_proj.scales: expected uint8",
    ],
    [
      "has an unknown mode",
      "layers.0.mlp.up_proj",
      { ...four, mode: "int4" },
      "mode must be affine, mxfp4, mxfp8 or nvfp4",
    ],
    ["has no mode", "layers.0.mlp.up_proj", { groupSize: 32, bits: 4 }, "mode must be affine"],
    ["has half a bit", "layers.0.mlp.up_proj", { ...four, bits: 4.5 }, "bits must be an integer"],
  ])("a module that %s", (_name, module, how, message) => {
    expect(() => Reflect.apply(nativeTarget, null, [quantized(module, how), tiny.stored])).toThrow(message);
  });
});

/** The tensor's first values changed. */
function disturbed({ stored }: TinyTarget, name: string): Map<string, StoredTensor> {
  const tensor = stored.get(name);
  if (!tensor) throw new Error(`${name} is missing`);
  const bytes = tensor.bytes.slice();
  // A word's codes are turned round; the sign and the exponent of a float change.
  for (let i = 3; i < bytes.length; i += 4) bytes[i] = (bytes[i] ?? 0) ^ 0x81;
  return new Map(stored).set(name, { ...tensor, bytes });
}
