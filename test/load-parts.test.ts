import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EMBEDDED_TARGET, openAssistant, openTarget } from "../src/checkpoint/index.js";
import { loadParts } from "../src/load-parts.js";
import { addon } from "../src/mlx/addon.js";
import { copyOf, rejected } from "./checkpoint/helpers.js";
import { EMBEDDED } from "./cli/helpers.js";

const ASSISTANT = join(EMBEDDED, "assistant");
const PLENTY = 1e12;
const held = () => ({ active: addon().memory().active, arrays: addon().counters().liveArrays });

describe("the parts of a pair", () => {
  it.each([
    ["at once", PLENTY],
    ["the tokenizer first, where memory is short", 0],
  ])("are loaded: %s", async (_, spare) => {
    const before = held();
    const { target, drafter, tokenizer, template } = await loadParts(openTarget(), openAssistant(ASSISTANT), {
      spare,
    });
    expect(await tokenizer?.encode("a fox")).not.toHaveLength(0);
    expect(template).toBeDefined();
    expect(addon().memory().active - before.active).toBeGreaterThan(26e6);
    drafter?.[Symbol.dispose]();
    target[Symbol.dispose]();
    expect(held()).toEqual(before);
  });

  it.each<[string, string, (file: string) => void]>([
    ["tokenizer is broken", "tokenizer.json", (file) => writeFileSync(file, "{")],
    ["weights change", "model.safetensors", (file) => appendFileSync(file, "x")],
  ])("are all given back when the target's %s", async (_, name, harm) => {
    const folder = copyOf(EMBEDDED_TARGET);
    const [target, assistant] = [openTarget(folder), openAssistant(ASSISTANT)];
    harm(join(folder, name));
    const before = held();
    const { message } = await rejected("checkpoint", loadParts(target, assistant, { spare: PLENTY }));
    expect(message).toContain(join(folder, name));
    expect(held()).toEqual(before);
  });

  it("are all given back when it is aborted", async () => {
    const before = held();
    const controller = new AbortController();
    const { signal } = controller;
    const loading = loadParts(openTarget(), openAssistant(ASSISTANT), { signal, spare: PLENTY });
    controller.abort();
    await rejected("aborted", loading);
    expect(held()).toEqual(before);
  });
});
