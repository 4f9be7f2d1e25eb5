import { describe, expect, it } from "vitest";
import { thrown } from "./helpers.js";
import { plan, quantization } from "./packed-plan.js";
import type { Json } from "./real-models.js";

describe("a block", () => {
  it.each<[string, Json]>([
    ["gptq", { quantization_config: { quant_method: "gptq", bits: 4, group_size: 128 } }],
    ["awq", { quantization_config: { quant_method: "awq", bits: 4 } }],
    ["bitsandbytes", { quantization_config: { quant_method: "bitsandbytes", load_in_4bit: true } }],
    [
      "compressed-tensors",
      { quantization_config: { quant_method: "compressed-tensors", config_groups: {} } },
    ],
    ["fp8", { text_config: { quantization_config: { quant_method: "fp8" } } }],
    ["quant_algo", { quantization: { quant_algo: "NVFP4" } }],
    ["load_in_8bit", { quantization_config: { load_in_8bit: true } }],
    ["quantize_input", { quantization: { bits: 8, group_size: 32, mode: "mxfp8", quantize_input: true } }],
    ['mode "mxfp6"', { quantization: { mode: "mxfp6", bits: 6, group_size: 32 } }],
    ["quantize_input", { ...quantization({ embed_tokens: { quantize_input: true } }) }],
  ])("of another format is refused by name: %s", (name, json) => {
    const { message } = thrown("unsupported", () => plan(json));
    expect(message).toContain(name);
    expect(message).toContain("config.json: ");
    expect(message).toContain("use a conversion to MLX");
  });

  it.each<[string, Json]>([
    ["quantization: expected an object", { quantization: 4 }],
    ["quantization: expected an object", { quantization: [] }],
    ["quantization: bits: expected 2, 3, 4, 5, 6, 8 in mode affine, found 7", quantization({ bits: 7 })],
    ["bits: expected 2, 3, 4, 5, 6, 8 in mode affine, found 1", quantization({ bits: 1 })],
    ['bits: expected 2, 3, 4, 5, 6, 8 in mode affine, found "4"', quantization({ bits: "4" })],
    ["group_size: expected 32, 64, 128 in mode affine, found 16", quantization({ group_size: 16 })],
    ["group_size: expected 16 in mode nvfp4, found 64", quantization({ mode: "nvfp4" })],
    ["bits: expected 8 in mode mxfp8, found 4", quantization({ mode: "mxfp8", group_size: 32 })],
    ["mode: expected a text, found 3", quantization({ mode: 3 })],
    [
      "quantization.model.embed_tokens: expected what config.json: quantization.embed_tokens says of the same module",
      quantization({ embed_tokens: { bits: 4 }, "model.embed_tokens": false }),
    ],
    ["quantization.embed_tokens: bits: expected", quantization({ embed_tokens: { bits: 9 } })],
  ])("is refused: %s", (words, json) => {
    expect(thrown("checkpoint", () => plan(json)).message).toContain(words);
  });

  it("says nothing of weights that are not packed", () => {
    expect(plan(quantization({ bits: 7, mode: "x" }), () => undefined).quantization).toEqual({});
  });
});
