import { describe, expect, it } from "vitest";
import {
  assistantCandidates,
  assistantFolderNames,
  isAssistantName,
  KNOWN_PAIRS,
} from "../../src/checkpoint/known-pairs.js";

const google = "google/gemma-4";

describe("the assistants that may belong to a repository", () => {
  it.each(KNOWN_PAIRS)("of the makers, $size", ({ target, base, qat, assistant, qatAssistant }) => {
    expect(assistantCandidates(target)).toEqual([assistant]);
    expect(assistantCandidates(base)).toEqual([`${base}-assistant`, assistant]);
    expect(assistantCandidates(qat)).toEqual([qatAssistant, assistant]);
    expect(assistantCandidates(assistant)).toEqual([]);
    expect(assistantCandidates(qatAssistant)).toEqual([]);
  });

  it.each<[string, string[]]>([
    [
      "mlx-community/gemma-4-e4b-it-4bit",
      [
        "mlx-community/gemma-4-E4B-it-assistant-4bit",
        "mlx-community/gemma-4-E4B-it-assistant-bf16",
        "mlx-community/gemma-4-E4B-it-assistant",
        `${google}-E4B-it-assistant`,
      ],
    ],
    [
      "mlx-community/gemma-4-12B-it-qat-4bit",
      [
        "mlx-community/gemma-4-12B-it-qat-assistant-4bit",
        "mlx-community/gemma-4-12B-it-qat-assistant-bf16",
        "mlx-community/gemma-4-12B-it-qat-assistant",
        `${google}-12B-it-qat-q4_0-unquantized-assistant`,
        `${google}-12B-it-assistant`,
      ],
    ],
    [
      "mlx-community/gemma-4-31b-it-bf16",
      [
        "mlx-community/gemma-4-31B-it-assistant-bf16",
        "mlx-community/gemma-4-31B-it-assistant",
        `${google}-31B-it-assistant`,
      ],
    ],
    [
      "lmstudio-community/gemma-4-26B-A4B-it-MLX-8bit",
      [
        "lmstudio-community/gemma-4-26B-A4B-it-assistant-MLX-8bit",
        "lmstudio-community/gemma-4-26B-A4B-it-assistant-bf16",
        "lmstudio-community/gemma-4-26B-A4B-it-assistant",
        `${google}-26B-A4B-it-assistant`,
      ],
    ],
    [
      "someone/gemma-4-E2B-it-mxfp4",
      [
        "someone/gemma-4-E2B-it-assistant-mxfp4",
        "someone/gemma-4-E2B-it-assistant-bf16",
        "someone/gemma-4-E2B-it-assistant",
        `${google}-E2B-it-assistant`,
      ],
    ],
    ["someone/My-Gemma4-e4b-tales", ["someone/My-Gemma-4-E4B-tales-assistant", `${google}-E4B-it-assistant`]],
    ["someone/other", ["someone/other-assistant"]],
    ["someone/gemma-4-270b-it", ["someone/gemma-4-270b-it-assistant"]],
    ["someone/4bit", ["someone/4bit-assistant"]],
    ["no-organisation", []],
    ["a/b/c", []],
    ["", []],
    ["../..", []],
    ["google/gemma-4-E2B-it-assistant-bf16", []],
  ])("%s", (id, expected) => {
    expect(assistantCandidates(id)).toEqual(expected);
  });

  it("are told by their names", () => {
    expect(isAssistantName("gemma-4-E2B-it-assistant-4bit")).toBe(true);
    expect(isAssistantName("assistant")).toBe(true);
    expect(isAssistantName("my-assistants-friend")).toBe(false);
  });

  it("have folders of the same names", () => {
    expect(assistantFolderNames("gemma-4-e4b-it-4bit")).toEqual([
      "gemma-4-e4b-it-4bit-assistant",
      "gemma-4-E4B-it-assistant-4bit",
      "gemma-4-E4B-it-assistant-bf16",
      "gemma-4-E4B-it-assistant",
    ]);
  });
});
