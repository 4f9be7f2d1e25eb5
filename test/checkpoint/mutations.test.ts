import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { resolveAssistant, resolveTarget } from "../../src/checkpoint/config.js";
import { targetWeights } from "../../src/checkpoint/expected-weights.js";
import { isObject } from "../../src/checkpoint/json.js";
import { packingRules } from "../../src/checkpoint/packing-rules.js";
import { planTarget } from "../../src/checkpoint/weights.js";
import { MlxGemmaError } from "../../src/errors.js";
import {
  assistantConfig,
  block,
  FORMS,
  type Json,
  MODEL_NAMES,
  targetConfig,
  tensor,
  tensorsOf,
} from "./real-models.js";

/** What someone may write where something else belongs. */
const junk = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1, 0.5, 1e308, -0, 2 ** 31, 2 ** 53, "", "x", [], {}),
  fc.constantFrom<unknown>("__proto__", "constructor", "gemma4_text", "full_attention", "affine", "../x"),
  fc.integer({ min: -4, max: 5000 }),
  fc.jsonValue({ maxDepth: 3 }),
);
const KEYS = ["__proto__", "toString", "quantization", "model_type", "rope_parameters", "layer_types"];

interface Mutation {
  readonly place: number;
  readonly key: string;
  readonly value: unknown;
  readonly how: "replace" | "delete" | "add";
}
const mutation: fc.Arbitrary<Mutation> = fc.record({
  place: fc.nat(1000),
  key: fc.oneof(fc.constantFrom(...KEYS), fc.string({ maxLength: 12 })),
  value: junk,
  how: fc.constantFrom("replace", "replace", "delete", "add"),
});

/** A config with one value replaced, taken out or added, anywhere in it. */
function mutated(config: Json, { place, key, value, how }: Mutation): unknown {
  const copy: unknown = JSON.parse(JSON.stringify(config));
  const slots: { readonly at: Record<string, unknown>; readonly key: string }[] = [];
  const walk = (node: unknown): void => {
    if (!isObject(node) && !Array.isArray(node)) return;
    const at: Record<string, unknown> = node as Record<string, unknown>;
    for (const name of Object.keys(at)) {
      slots.push({ at, key: name });
      walk(at[name]);
    }
  };
  walk(copy);
  const slot = slots[place % slots.length];
  if (!slot) return value;
  if (how === "delete") delete slot.at[slot.key];
  else
    Object.defineProperty(slot.at, how === "add" ? key : slot.key, {
      value,
      enumerable: true,
      configurable: true,
    });
  return copy;
}

/** Whether an action ends well or with an error of ours, of one line. */
function survives(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (!(error instanceof MlxGemmaError)) throw error;
    expect(error.message).not.toMatch(/[\r\n]/);
    expect(error.message.length).toBeLessThan(1000);
    return false;
  }
}

const base = fc.record({ name: fc.constantFrom(...MODEL_NAMES), form: fc.constantFrom(...FORMS) });
const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 });
const apply = (config: Json, list: readonly Mutation[]): unknown =>
  list.reduce<unknown>((now, one) => (isObject(now) ? mutated(now, one) : now), config);

describe("a config with a mistake in it", () => {
  it.each([
    ["target", targetConfig, resolveTarget],
    ["assistant", assistantConfig, resolveAssistant],
  ] as const)("of a %s resolves or is told", (_, make, resolve) => {
    let refused = 0;
    fc.assert(
      fc.property(base, mutations, ({ name, form }, list) => {
        const config = apply(make(name, form), list);
        if (!survives(() => void resolve({ file: "config.json", config }))) refused++;
      }),
      { numRuns: 1500 },
    );
    expect(refused).toBeGreaterThan(300);
  });

  it("of the packing, or of the tensors, plans or is told", () => {
    const form = FORMS[0];
    if (!form) throw new Error("no form");
    const config = resolveTarget({
      file: "config.json",
      config: {
        ...targetConfig("26B-A4B", { ...form, textOnly: true, layerTypes: false }),
        num_hidden_layers: 2,
        num_experts: 8,
      },
    });
    const four = { bits: 4, groupSize: 64, mode: "affine" } as const;
    const expected = targetWeights(config, "split");
    const json = {
      quantization: {
        ...block(four),
        "language_model.model.layers.0.router.proj": block(four),
        "language_model.model.embed_tokens": block(four),
        "model.layers.1.mlp.down_proj": { bits: 4, group_size: 64 },
      },
      quantization_config: block(four),
    };
    let refused = 0;
    const shape = fc.array(fc.nat(5000), { maxLength: 4 });
    const dtype = fc.constantFrom("bfloat16", "uint32", "uint8", "float32", "int64", "bool", "float8_e4m3");
    fc.assert(
      fc.property(
        mutations,
        fc.array(fc.tuple(fc.nat(1000), shape, dtype), { maxLength: 1 }),
        (list, swaps) => {
          const tensors = tensorsOf(expected, "language_model.model.", () => four);
          for (const [place, size, type] of swaps) {
            const name = [...tensors.keys()][place % tensors.size] ?? "";
            tensors.set(name, tensor(type, size));
          }
          const plan = () => {
            const packing = packingRules({ file: "config.json", config: apply(json, list) }, "target");
            planTarget({ folder: "/model", config, tensors, packing });
          };
          if (!survives(plan)) refused++;
        },
      ),
      { numRuns: 1000 },
    );
    expect(refused).toBeGreaterThan(300);
  });
});
