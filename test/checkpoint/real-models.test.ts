import { describe, expect, it } from "vitest";
import { resolveAssistant, resolveTarget } from "../../src/checkpoint/config.js";
import { assistantWeights, targetWeights } from "../../src/checkpoint/expected-weights.js";
import { checkFit } from "../../src/checkpoint/index.js";
import { packingRules } from "../../src/checkpoint/packing-rules.js";
import { planAssistant, planTarget } from "../../src/checkpoint/weights.js";
import { thrown } from "./helpers.js";
import {
  assistantConfig,
  block,
  FORMS,
  MODEL_NAMES,
  MODELS,
  targetConfig,
  tensor,
  tensorsOf,
} from "./real-models.js";

const [PLAIN] = FORMS;
if (!PLAIN) throw new Error("no form");
const resolved = (name: (typeof MODEL_NAMES)[number], form = PLAIN) => ({
  target: resolveTarget({ file: "config.json", config: targetConfig(name, form) }),
  assistant: resolveAssistant({ file: "config.json", config: assistantConfig(name, form) }),
});

describe.each(MODEL_NAMES)("%s", (name) => {
  const { target, assistant } = resolved(name);
  const model = MODELS[name];

  it("is the same in every form of its config, and so is its assistant", () => {
    for (const form of FORMS) {
      const other = resolved(name, form);
      const { modelType, mediaTokenIds } = other.target;
      expect(modelType).toBe(form.textOnly ? `${model.modelType}_text` : model.modelType);
      expect(mediaTokenIds).toEqual(form.textOnly ? {} : { image: 258_880, audio: 258_881, video: 258_884 });
      expect({ ...other.target, modelType: target.modelType, mediaTokenIds: target.mediaTokenIds }).toEqual(
        target,
      );
      expect(other.assistant).toEqual(assistant);
      checkFit(other.target, other.assistant);
    }
  });

  it("has the shapes of the published model", () => {
    const full = target.layers.filter(({ type }) => type === "full_attention");
    const sliding = target.layers.filter(({ type }) => type === "sliding_attention");
    expect(full).toHaveLength(target.layers.length / model.every);
    expect(new Set(full.map(({ headDim }) => headDim))).toEqual(new Set([512]));
    expect(new Set(sliding.map(({ headDim }) => headDim))).toEqual(new Set([256]));
    expect(new Set(full.map(({ numKvHeads }) => numKvHeads))).toEqual(new Set([model.globalKvHeads]));
    expect(full.every(({ keyEqualsValue }) => keyEqualsValue === model.kEqV)).toBe(true);
    expect(sliding.some(({ keyEqualsValue }) => keyEqualsValue)).toBe(false);
    expect(target.slidingWindow).toBe(name.startsWith("E") ? 512 : 1024);
    expect(target.maxPositionEmbeddings).toBe(name === "12B" ? 262_144 : 131_072);
    expect(target.hiddenSizePerLayerInput).toBe(name.startsWith("E") ? 256 : 0);
    const experts = { count: 128, topK: 8, intermediateSize: 704 };
    expect(target.experts).toEqual(name === "26B-A4B" ? experts : undefined);
    const parameters = targetWeights(target).reduce(
      (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
      0,
    );
    expect(parameters / 1e9).toBeGreaterThan(model.billions[0]);
    expect(parameters / 1e9).toBeLessThan(model.billions[1]);
  });

  const packings = {
    bf16: undefined,
    "4 bit": { bits: 4, groupSize: 64, mode: "affine" },
    mxfp4: { bits: 4, groupSize: 32, mode: "mxfp4" },
  } as const;

  it.each(["model.language_model.", "language_model.model.", "model."])("is found under %s", (prefix) => {
    for (const packing of ["stacked", "split"] as const) {
      for (const how of Object.values(packings)) {
        // Stacked experts are never packed: conversions split them.
        const config = { model_type: "x", ...(how ? { quantization: block(how) } : {}) };
        const expected = targetWeights(target, packing);
        const tensors = tensorsOf(expected, prefix, () => how);
        tensors.set("vision_tower.scales", tensor("bool", [3]));
        const plan = planTarget({
          folder: "/model",
          config: target,
          tensors,
          packing: packingRules({ file: "config.json", config }, "target"),
        });
        expect(plan.dtype).toBe("bfloat16");
        expect(plan.tensors.size).toBe(tensors.size - 1);
        const modules = expected.filter(({ kind }) => kind === "matrix").length;
        expect(Object.keys(plan.quantization)).toHaveLength(how ? modules : 0);
        expect(plan.warnings).toEqual([]);
      }
    }
  });

  it("has an assistant, packed or not", () => {
    const expected = assistantWeights(assistant);
    for (const how of Object.values(packings)) {
      const config = how ? { quantization: block(how) } : {};
      const tensors = tensorsOf(expected, "", (module) => (/centroids$/.test(module) ? undefined : how));
      const plan = planAssistant({
        folder: "/assistant",
        config: assistant,
        tensors,
        packing: packingRules({ file: "config.json", config }, "assistant"),
      });
      expect(plan.tensors.size).toBe(tensors.size);
      expect(plan.tensors.has("masked_embedding.token_ordering")).toBe(name.startsWith("E"));
      expect(plan.quantization["model.layers.3.mlp.gate_proj"]).toEqual(how);
      expect(plan.quantization["masked_embedding.centroids"]).toBeUndefined();
    }
  });
});

it("assistants fit the target of their size alone", () => {
  for (const one of MODEL_NAMES) {
    for (const other of MODEL_NAMES) {
      const check = () => checkFit(resolved(one).target, resolved(other).assistant);
      if (one === other) check();
      else expect(thrown("pair", check).message).toMatch(/the target has .+, the assistant .+ \(its /);
    }
  }
});
