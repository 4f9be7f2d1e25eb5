import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { findCachedRepo, listCached } from "../../../src/checkpoint/hub/index.js";
import { fixture, holds, ID, REPO } from "./download-fixture.js";

const fix = fixture();
const SCRIPT = fileURLToPath(new URL("python.py", import.meta.url));

/** A Python with huggingface_hub: MLX_GEMMA_PYTHON, or the one on the path. */
const PYTHON = [process.env.MLX_GEMMA_PYTHON, "python3"].find(
  (python) => python && spawnSync(python, ["-c", "import huggingface_hub"]).status === 0,
);
const skipped = PYTHON ? "" : " (skipped: no Python with huggingface_hub; set MLX_GEMMA_PYTHON to one)";

/** Runs the script beside this test; the fake hub answers meanwhile. */
function python(action: "find" | "download", ...names: string[]): Promise<Record<string, unknown>> {
  const env = {
    ...process.env,
    HF_ENDPOINT: fix.hub.endpoint,
    HF_HUB_DISABLE_XET: "1",
    HF_HUB_DISABLE_PROGRESS_BARS: "1",
    NO_PROXY: "127.0.0.1",
    no_proxy: "127.0.0.1",
  };
  const child = spawn(PYTHON ?? "", [SCRIPT, action, fix.cache, ID, ...names], { env });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject).on("close", (code) => {
      if (code === 0) resolve(JSON.parse(stdout));
      else reject(new Error(stderr));
    });
  });
}

describe.skipIf(!PYTHON)(`the cache, shared with Python's huggingface_hub${skipped}`, () => {
  it("what we download is found by it", async () => {
    const { folder } = await fix.resolve();
    const found = await python("find", ...Object.keys(REPO), "chat_template.jinja");
    expect(found).toEqual({
      folder,
      files: {
        ...Object.fromEntries(Object.keys(REPO).map((name) => [name, join(folder, name)])),
        "chat_template.jinja": "no such file",
      },
      warnings: [],
      repos: [[ID, Object.values(REPO).reduce((sum, data) => sum + Buffer.from(data).length, 0), ["main"]]],
    });
  });

  it("what it downloads is found by us", async () => {
    const { folder } = await python("download");
    expect(findCachedRepo(ID, "main", fix.cache)).toEqual({ folder, commit: fix.commit });
    expect(holds(String(folder))).toBe(true);
    expect(listCached(fix.cache)).toMatchObject([{ id: ID, revisions: ["main"], missing: [] }]);
    fix.hub.seen.length = 0;
    expect(await fix.resolve({ offline: true })).toMatchObject({ folder, downloaded: 0 });
    expect(fix.hub.seen).toEqual([]);
  });

  it("what we have it does not download again, and the other way round", async () => {
    await fix.resolve();
    fix.hub.seen.length = 0;
    await python("download");
    expect(fix.hub.downloadsOf("model.safetensors").filter(({ host }) => host === "storage")).toEqual([]);
    const next = fix.hub.add(ID, { ...REPO, "config.json": '{"model_type":"gemma4"}' });
    await python("download");
    fix.hub.seen.length = 0;
    const { commit, downloaded } = await fix.resolve({ refresh: true });
    expect({ commit, downloaded }).toEqual({ commit: next, downloaded: 0 });
    expect(fix.hub.downloadsOf("model.safetensors")).toEqual([]);
  });

  it("both at once do each other no harm", async () => {
    const [ours, theirs] = await Promise.all([fix.resolve(), python("download")]);
    expect(theirs.folder).toBe(ours.folder);
    expect(holds(ours.folder)).toBe(true);
    expect(await python("find", "config.json")).toMatchObject({ folder: ours.folder, warnings: [] });
  });
});
