import { expect, it, vi } from "vitest";
import { EMBEDDED_TARGET, openAssistant, openTarget } from "../src/checkpoint/index.js";
import { chooseAssistant } from "../src/choose-assistant.js";
import { memoryRoom } from "../src/memory-room.js";
import { loadedBytes } from "../src/weights-memory.js";
import { rejected } from "./checkpoint/helpers.js";

vi.mock("../src/memory-room.js", () => ({ memoryRoom: vi.fn() }));

it("assistant-refused: the memory is enough for the target alone", async () => {
  const target = openTarget();
  const assistant = openAssistant(`${EMBEDDED_TARGET}/../assistant`);
  const both = loadedBytes(target.weights) + loadedBytes(assistant.weights);
  const how = { offline: true, dtype: undefined };
  vi.mocked(memoryRoom).mockReturnValue({ bytes: both, bound: "free" });
  expect((await chooseAssistant(target, "auto", how)).warnings).toEqual([]);
  vi.mocked(memoryRoom).mockReturnValue({ bytes: both - 1, bound: "free" });
  const chosen = await chooseAssistant(target, "auto", how);
  expect(chosen.assistant).toBeUndefined();
  expect(chosen.warnings).toEqual([
    {
      code: "assistant-refused",
      message: expect.stringMatching(/plain decoding: .* of memory for the weights/),
    },
  ]);
  await rejected("memory", chooseAssistant(target, "assistant", how));
});
