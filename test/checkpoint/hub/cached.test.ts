import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hubEnvironment } from "../../../src/checkpoint/hub/environment.js";
import { findCachedRepo, listCached, resolveRepo } from "../../../src/checkpoint/hub/index.js";
import { COMMIT, FILES, layOut } from "./cache-fixture.js";

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "mlx-gemma-hub-"));
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

const repo = () => join(cache, "models--org--name");
const offline = (text: string, revision?: string) =>
  resolveRepo(text, {
    offline: true,
    revision,
    environment: hubEnvironment({ HF_HUB_CACHE: cache }),
  });

describe("a snapshot in the cache", () => {
  it("is found by branch, by commit, and as the default", async () => {
    const folder = layOut(cache, "org/name", FILES);
    const found = { folder, commit: COMMIT };
    expect(findCachedRepo("org/name", undefined, cache)).toEqual(found);
    expect(findCachedRepo("org/name", "main", cache)).toEqual(found);
    expect(findCachedRepo("org/name", COMMIT, cache)).toEqual(found);
    expect(findCachedRepo("org/name", "dev", cache)).toBeUndefined();
    expect(findCachedRepo("org/other", "main", cache)).toBeUndefined();
    expect(await offline("org/name")).toMatchObject({ ...found, downloaded: 0 });
    expect(await offline(`org/name@${COMMIT}`)).toMatchObject(found);
  });

  it("is found by a revision with slashes", async () => {
    const folder = layOut(cache, "org/name", FILES, { ref: "refs/pr/3" });
    expect(await offline("org/name@refs/pr/3")).toMatchObject({ folder });
    expect(listCached(cache)).toMatchObject([{ id: "org/name", revisions: ["refs/pr/3"] }]);
  });

  it.each(Object.keys(FILES))("is not whole without %s", async (name) => {
    const { [name]: _, ...rest } = FILES;
    layOut(cache, "org/name", rest);
    expect(findCachedRepo("org/name", "main", cache)).toBeUndefined();
    expect(listCached(cache)).toMatchObject([{ missing: [name] }]);
    await expect(offline("org/name")).rejects.toThrow(
      new RegExp(
        `^org/name: .*the option offline forbids the network, found a part \\(${name} is missing\\); .*pull org/name`,
      ),
    );
  });

  it("is whole without a file that is known not to exist", () => {
    const { "tokenizer.json": _, ...rest } = FILES;
    const folder = layOut(cache, "org/name", rest);
    mkdirSync(join(repo(), ".no_exist", COMMIT), { recursive: true });
    writeFileSync(join(repo(), ".no_exist", COMMIT, "tokenizer.json"), "");
    expect(findCachedRepo("org/name", "main", cache)).toEqual({ folder, commit: COMMIT });
  });

  it("is whole without a file that the list of the commit's files does not name", () => {
    const { "tokenizer.json": _, ...rest } = FILES;
    layOut(cache, "org/name", rest);
    const tree = (...names: string[]) => {
      mkdirSync(join(repo(), "trees"), { recursive: true });
      const files = Object.fromEntries(names.map((name) => [name, { size: 1, blob_id: "0" }]));
      writeFileSync(join(repo(), "trees", `${COMMIT}.json`), JSON.stringify({ format_version: 1, files }));
    };
    tree(...Object.keys(FILES));
    expect(findCachedRepo("org/name", "main", cache)).toBeUndefined();
    tree(...Object.keys(rest));
    expect(findCachedRepo("org/name", "main", cache)).toBeDefined();
  });

  it("needs the shards that hold text, not those of vision alone", () => {
    const { "model.safetensors": _, ...rest } = FILES;
    const index = {
      weight_map: {
        "model.language_model.norm.weight": "model-00001-of-00003.safetensors",
        "model.language_model.embed_tokens.weight": "model-00002-of-00003.safetensors",
        "model.vision_tower.x": "model-00003-of-00003.safetensors",
        "model.embed_vision.x": "model-00001-of-00003.safetensors",
      },
    };
    const files = { ...rest, "model.safetensors.index.json": JSON.stringify(index) };
    layOut(cache, "org/name", { ...files, "model-00001-of-00003.safetensors": "a" });
    expect(listCached(cache)).toMatchObject([{ missing: ["model-00002-of-00003.safetensors"] }]);
    rmSync(repo(), { recursive: true });
    layOut(cache, "org/name", {
      ...files,
      "model-00001-of-00003.safetensors": "a",
      "model-00002-of-00003.safetensors": "b",
    });
    expect(findCachedRepo("org/name", "main", cache)).toBeDefined();
  });

  it.each(['{"weight_map":{"a":"../../x.safetensors"}}', '{"weight_map":{}}', "no json", "[]"])(
    "is not whole with the index %s",
    (index) => {
      const { "model.safetensors": _, ...rest } = FILES;
      layOut(cache, "org/name", { ...rest, "model.safetensors.index.json": index });
      expect(listCached(cache)).toMatchObject([{ missing: ["model.safetensors.index.json"] }]);
    },
  );

  it("is not whole with a link that leads nowhere", () => {
    layOut(cache, "org/name", FILES);
    rmSync(join(repo(), "blobs"), { recursive: true });
    expect(findCachedRepo("org/name", "main", cache)).toBeUndefined();
    expect(listCached(cache)).toMatchObject([{ bytes: 0 }]);
  });

  it.each(["../../../etc", "no commit", ""])("is not found through the ref %j", (text) => {
    layOut(cache, "org/name", FILES);
    writeFileSync(join(repo(), "refs", "main"), text);
    expect(findCachedRepo("org/name", "main", cache)).toBeUndefined();
  });

  it("is listed with its size and revisions, beside what is no model", () => {
    layOut(cache, "org/name", FILES);
    layOut(cache, "org/name", FILES, { commit: "f".repeat(40), ref: "" });
    layOut(cache, "a/b", FILES);
    mkdirSync(join(cache, "datasets--x--y", "snapshots", COMMIT), { recursive: true });
    writeFileSync(join(cache, "version.txt"), "1");
    const bytes = Object.values(FILES).join("").length;
    expect(listCached(cache).map(({ id, revisions, bytes }) => [id, revisions, bytes])).toEqual([
      ["a/b", ["main"], bytes],
      ["org/name", ["main"], bytes],
      ["org/name", [], bytes],
    ]);
  });

  it("is not found where there is no cache", async () => {
    expect(listCached(join(cache, "none"))).toEqual([]);
    await expect(offline("org/name")).rejects.toMatchObject({
      code: "hub",
      message: /found nothing; run mlx-gemma pull/,
    });
  });
});

describe("the environment", () => {
  const HOME = "/home/u";
  it.each<[Record<string, string>, string]>([
    [{}, "/home/u/.cache/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    [{ HF_HOME: "/hf", XDG_CACHE_HOME: "/x" }, "/hf/hub"],
    [{ HF_HOME: "~/hf" }, "/home/u/hf/hub"],
    [{ HF_HOME: "$DISK/hf", DISK: "/disk" }, "/disk/hf/hub"],
    [{ HF_HOME: "/hf", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as it stands in the environment
    [{ HF_HUB_CACHE: "${DISK}/new", DISK: "/disk", HUGGINGFACE_HUB_CACHE: "/old" }, "/disk/new"],
  ])("%j: the cache is %s", (env, cache) => {
    expect(hubEnvironment({ HOME, ...env }).cache).toBe(cache);
  });

  it.each(["1", "ON", "yes", "True"])("HF_HUB_OFFLINE=%s forbids the network", async (value) => {
    expect(hubEnvironment({ HF_HUB_OFFLINE: value }).offline).toBe(true);
    expect(hubEnvironment({ TRANSFORMERS_OFFLINE: value }).offline).toBe(true);
    const environment = hubEnvironment({ HF_HUB_CACHE: cache, HF_HUB_OFFLINE: value });
    await expect(resolveRepo("org/name", { environment })).rejects.toThrow(/as HF_HUB_OFFLINE forbids/);
  });

  it("HF_HUB_OFFLINE=0 does not", () => {
    expect(hubEnvironment({ HF_HUB_OFFLINE: "0" }).offline).toBe(false);
  });

  it.each(["ftp://x", "huggingface.co", "https://x/?a=1"])("HF_ENDPOINT=%s is a mistake", (HF_ENDPOINT) => {
    expect(() => hubEnvironment({ HF_ENDPOINT })).toThrow(/^HF_ENDPOINT: expected an address/);
  });
});
