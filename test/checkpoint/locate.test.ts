import { mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { hubEnvironment } from "../../src/checkpoint/hub/index.js";
import {
  EMBEDDED_TARGET,
  findAssistant,
  locateAssistant,
  locateCheckpoint,
  locateFolder,
  nameOfFolder,
  openTarget,
} from "../../src/checkpoint/index.js";
import { rejected, temporaryFolder, thrown, writeJson } from "./helpers.js";
import { FILES, layOut } from "./hub/cache-fixture.js";

describe("folders", () => {
  it("is the embedded pair's by default", () => {
    expect(locateFolder()).toBe(EMBEDDED_TARGET);
    expect(openTarget().config.modelType).toMatch(/^gemma4/);
  });

  it.each<[string, string, string]>([
    ["a folder that is not there", "/nowhere/at/all", "found nothing there; check the path"],
    ["a file", "package.json", "found a file"],
    ["a folder of something else", "src", "expected config.json in the folder, found none"],
  ])("refuses %s", (_, path, words) => {
    expect(thrown("checkpoint", () => locateFolder(path)).message).toContain(words);
  });

  it("refuses a broken config.json and one without weights", () => {
    const folder = temporaryFolder();
    const config = join(folder, "config.json");
    writeFileSync(config, "{");
    expect(thrown("checkpoint", () => openTarget(folder)).message).toContain(`${config}: expected JSON`);
    writeFileSync(config, `{"model_type":"gemma4_text","model_type":"llama"}`);
    expect(thrown("checkpoint", () => openTarget(folder)).message).toContain("model_type stands twice");
    writeFileSync(config, `{"model_type":"gemma4_text"}`);
    expect(thrown("checkpoint", () => openTarget(folder)).message).toContain("expected model.safetensors or");
    writeFileSync(config, Buffer.alloc(17 * 1024 * 1024, 0x20));
    expect(thrown("checkpoint", () => openTarget(folder)).message).toContain("expected at most");
  });
});

describe("the assistant that belongs to a target", () => {
  const make = (...folders: string[]) => {
    const root = temporaryFolder();
    for (const folder of folders) {
      mkdirSync(join(root, folder), { recursive: true });
      writeJson(join(root, folder), "config.json", {});
    }
    return root;
  };

  it("is named after it, or simply assistant, beside it", () => {
    const root = make("e4b", "e4b-assistant", "assistant");
    expect(findAssistant(join(root, "e4b"))?.folder).toBe(join(root, "e4b-assistant"));
    rmSync(join(root, "e4b-assistant"), { recursive: true });
    expect(findAssistant(join(root, "e4b"))?.folder).toBe(join(root, "assistant"));
  });

  it("is the one that either config names", () => {
    const root = make("e4b", "e4b-assistant", "other");
    writeJson(join(root, "e4b"), "generation_config.json", { assistant: "../other" });
    expect(findAssistant(join(root, "e4b"))?.folder).toBe(join(root, "other"));
    writeJson(join(root, "e4b"), "config.json", { assistant: "../e4b-assistant" });
    expect(findAssistant(join(root, "e4b"))?.folder).toBe(join(root, "e4b-assistant"));
    writeJson(join(root, "e4b"), "config.json", { assistant: "../gone" });
    expect(thrown("checkpoint", () => findAssistant(join(root, "e4b"))).message).toContain(
      join(root, "gone"),
    );
    writeJson(join(root, "e4b"), "config.json", { assistant: 3 });
    expect(thrown("checkpoint", () => findAssistant(join(root, "e4b"))).message).toContain(
      "assistant: expected the path",
    );
  });

  it("is looked for beside the place a link leads to", () => {
    const root = make("deep/e4b", "deep/assistant");
    symlinkSync(join(root, "deep", "e4b"), join(root, "link"));
    expect(findAssistant(join(root, "link"))?.folder).toBe(join(root, "deep", "assistant"));
  });

  it("is found under the name of a conversion, beside it or in its organisation's folder", () => {
    const root = make("mlx-community/gemma-4-e4b-it-4bit", "google/gemma-4-E4B-it-assistant");
    const target = join(root, "mlx-community", "gemma-4-e4b-it-4bit");
    expect(findAssistant(target)).toEqual({
      folder: join(root, "google", "gemma-4-E4B-it-assistant"),
      why: `by the name of ${target}`,
      guessed: true,
    });
    mkdirSync(join(root, "mlx-community", "gemma-4-E4B-it-assistant-bf16"));
    writeJson(join(root, "mlx-community", "gemma-4-E4B-it-assistant-bf16"), "config.json", {});
    expect(findAssistant(target)?.folder).toBe(join(root, "mlx-community", "gemma-4-E4B-it-assistant-bf16"));
    expect(findAssistant(EMBEDDED_TARGET)).toMatchObject({ guessed: false });
  });

  it("is missed with the places where it was looked for", async () => {
    const root = make("e4b");
    expect(findAssistant(join(root, "e4b"))).toBeUndefined();
    const { message } = await rejected("checkpoint", locateAssistant(join(root, "e4b"), { offline: true }));
    expect(message).toContain(`${join(root, "e4b-assistant")}, ${join(root, "assistant")}, or named by`);
    expect(message).not.toContain("the hub");
  });
});

describe("what a user names", () => {
  const environment = (cache: string) => ({ ...hubEnvironment({ HF_HUB_CACHE: cache }), offline: true });
  const E4B = "mlx-community/gemma-4-e4b-it-4bit";

  it("is a folder before it is a repository, unless hf:// says otherwise", async () => {
    const cache = temporaryFolder();
    const snapshot = layOut(cache, "test/golden", FILES);
    const options = { environment: environment(cache) };
    // test/golden is a folder here, though no checkpoint's.
    expect((await rejected("checkpoint", locateCheckpoint("test/golden", options))).message).toContain(
      "expected config.json in the folder",
    );
    expect(await locateCheckpoint("hf://test/golden", options)).toBe(snapshot);
    expect(await locateCheckpoint(undefined, options)).toBe(EMBEDDED_TARGET);
    expect(await locateCheckpoint("models/tiny-gemma4/target", options)).toBe(EMBEDDED_TARGET);
  });

  it("is a folder whose name looks like a revision that no repository can have", async () => {
    const root = realpathSync(temporaryFolder());
    const folder = join(root, "org", "name@two words");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "config.json"), "{}");
    const before = process.cwd();
    process.chdir(root);
    try {
      expect(await locateCheckpoint("org/name@two words")).toBe(folder);
      await rejected("usage", locateCheckpoint("org/other@two words"));
    } finally {
      process.chdir(before);
    }
  });

  it("is a repository at a revision", async () => {
    const cache = temporaryFolder();
    const snapshot = layOut(cache, E4B, FILES, { ref: "v2" });
    const options = { environment: environment(cache) };
    expect(await locateCheckpoint(`${E4B}@v2`, options)).toBe(snapshot);
    expect(await locateCheckpoint(E4B, { ...options, revision: "v2" })).toBe(snapshot);
    await rejected("hub", locateCheckpoint(E4B, options));
    expect(nameOfFolder(snapshot)).toBe(E4B);
  });

  it("has an assistant of a known name in the cache", async () => {
    const cache = temporaryFolder();
    const target = layOut(cache, E4B, FILES);
    const options = { environment: environment(cache) };
    const { message } = await rejected("checkpoint", locateAssistant(target, options));
    expect(message).toContain("or the hub as mlx-community/gemma-4-E4B-it-assistant-4bit, ");
    const official = layOut(cache, "google/gemma-4-E4B-it-assistant", FILES);
    expect(await locateAssistant(target, options)).toEqual({
      folder: official,
      why: `google/gemma-4-E4B-it-assistant, the assistant for ${E4B}, in the hub's cache`,
      guessed: true,
    });
    const own = layOut(cache, "mlx-community/gemma-4-E4B-it-assistant-bf16", FILES);
    expect((await locateAssistant(target, options)).folder).toBe(own);
  });

  it("asks for nobody's names on behalf of a folder", async () => {
    const cache = temporaryFolder();
    const options = { environment: environment(cache) };
    layOut(cache, "local/gemma-4-E4B-it-assistant", FILES);
    const folder = join(temporaryFolder(), "gemma-4-E4B-it");
    mkdirSync(folder);
    writeJson(folder, "config.json", {});
    const { message } = await rejected("checkpoint", locateAssistant(folder, options));
    expect(message).toContain("or the hub as google/gemma-4-E4B-it-assistant, or named by");
    const beside = [`${folder}-assistant`, join(dirname(folder), "assistant")];
    for (const place of beside) expect(message).toContain(`${place}, `);
  });
});
