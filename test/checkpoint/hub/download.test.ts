import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { findCachedRepo } from "../../../src/checkpoint/hub/index.js";
import { environmentOf, fixture, holds, ID, noise, REPO, TOKEN, WEIGHTS } from "./download-fixture.js";
import { json, listed, refuse, send, sha256, storageEtag } from "./fake-hub.js";

const fix = fixture();
const inRepo = (...path: string[]) => join(fix.cache, "models--org--gemma", ...path);
const blob = () => inRepo("blobs", sha256(WEIGHTS));

describe("a download", () => {
  it("lays the cache out as Python's huggingface_hub does", async () => {
    const { folder, commit, downloaded } = await fix.resolve();
    expect(commit).toBe(fix.commit);
    expect(folder).toBe(inRepo("snapshots", commit));
    expect(holds(folder)).toBe(true);
    expect(downloaded).toBe(Object.values(REPO).reduce((sum, data) => sum + Buffer.from(data).length, 0));
    expect(readFileSync(inRepo("refs", "main"), "utf8")).toBe(commit);
    expect(readlinkSync(join(folder, "model.safetensors"))).toBe(`../../blobs/${sha256(WEIGHTS)}`);
    // git's name of a blob "{}"
    expect(readlinkSync(join(folder, "generation_config.json"))).toBe(
      "../../blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b",
    );
    expect(existsSync(inRepo(".no_exist", commit, "chat_template.jinja"))).toBe(true);
    expect(existsSync(join(fix.cache, "CACHEDIR.TAG"))).toBe(true);
    expect(findCachedRepo(ID, "main", fix.cache)).toEqual({ folder, commit });
  });

  it("leaves nothing unfinished, and no lock", async () => {
    await fix.resolve();
    const names = readdirSync(fix.cache, { recursive: true, encoding: "utf8" });
    expect(names.filter((name) => /incomplete|\.lock$|breaking/.test(name))).toEqual([]);
  });

  it("asks nothing once all is there, and the revision again when told to", async () => {
    await fix.resolve();
    fix.hub.seen.length = 0;
    expect(await fix.resolve()).toMatchObject({ downloaded: 0 });
    expect(fix.hub.seen).toEqual([]);
    const next = fix.hub.add(ID, { ...REPO, "generation_config.json": '{"b":22}' });
    const moved = await fix.resolve({ refresh: true });
    expect(moved).toMatchObject({ commit: next, downloaded: 8 });
    expect(readFileSync(inRepo("refs", "main"), "utf8")).toBe(next);
    expect(holds(inRepo("snapshots", fix.commit))).toBe(true);
  });

  it("takes a revision, a commit and a revision with slashes", async () => {
    const dev = fix.hub.add(ID, { ...REPO, "config.json": '{"model_type":"gemma4"}' }, "refs/pr/2");
    expect(await fix.resolve({ text: `${ID}@refs/pr/2` })).toMatchObject({ commit: dev });
    expect(await fix.resolve({ revision: fix.commit })).toMatchObject({ commit: fix.commit });
    expect(existsSync(inRepo("refs", "main"))).toBe(false);
    expect(readFileSync(inRepo("refs", "refs", "pr", "2"), "utf8")).toBe(dev);
  });

  it("takes only what is needed", async () => {
    fix.hub.add(ID, {
      ...REPO,
      "README.md": "x",
      "model.gguf": "x",
      "pytorch_model.bin": "x",
      "consolidated.safetensors": "x",
      "chat_template.jinja": "{{ x }}",
      "preprocessor_config.json": "{}",
      "onnx/model.onnx": "x",
    });
    const { folder } = await fix.resolve();
    expect(readdirSync(folder).sort()).toEqual([...Object.keys(REPO), "chat_template.jinja"].sort());
  });

  it("takes the shards that the index names, except those of vision alone", async () => {
    const { "model.safetensors": _, ...rest } = REPO;
    const shard = (n: number) => `model-0000${n}-of-00003.safetensors`;
    const index = {
      weight_map: {
        "model.language_model.norm.weight": shard(1),
        "model.language_model.embed_tokens.weight": shard(2),
        "model.vision_tower.a": shard(2),
        "model.vision_tower.b": shard(3),
      },
    };
    fix.hub.add(ID, {
      ...rest,
      "model.safetensors.index.json": JSON.stringify(index),
      [shard(1)]: noise(1000, 1),
      [shard(2)]: noise(1000, 2),
      [shard(3)]: noise(1000, 3),
    });
    const { folder } = await fix.resolve();
    expect(existsSync(join(folder, shard(2)))).toBe(true);
    expect(existsSync(join(folder, shard(3)))).toBe(false);
    expect(findCachedRepo(ID, "main", fix.cache)).toBeDefined();
    const plans = fix.progress.filter(({ type }) => type === "plan");
    expect(plans).toHaveLength(2);
  });

  it("takes only the files that are asked for", async () => {
    const { folder } = await fix.resolve({ files: ["config.json", "nothing.json"] });
    expect(
      fix.finished().filter((name) => name.startsWith("snapshots/") && name.split("/").length === 3),
    ).toEqual([`snapshots/${fix.commit}/config.json`]);
    expect(existsSync(inRepo(".no_exist", fix.commit, "nothing.json"))).toBe(true);
    fix.hub.seen.length = 0;
    expect(await fix.resolve({ files: ["config.json", "nothing.json"] })).toMatchObject({ folder });
    expect(fix.hub.seen).toEqual([]);
    expect(await fix.resolve()).toMatchObject({ folder });
    expect(holds(folder)).toBe(true);
  });

  it("shares a blob between files and commits", async () => {
    await fix.resolve();
    fix.hub.add(ID, { ...REPO, "config.json": '{"model_type":"gemma4"}' });
    fix.hub.seen.length = 0;
    await fix.resolve({ refresh: true });
    expect(fix.hub.downloadsOf("model.safetensors")).toEqual([]);
  });

  it("tells its progress, which ends at the size of each file", async () => {
    await fix.resolve();
    const plan = fix.progress.findLast((event) => event.type === "plan");
    expect(plan?.files.map(({ name }) => name).sort()).toEqual(Object.keys(REPO).sort());
    for (const { name, bytes } of plan?.files ?? []) {
      const own = fix.progress.filter((event) => event.type === "bytes" && event.name === name);
      expect(own.at(-1)).toEqual({ type: "bytes", name, done: bytes });
      expect(fix.progress).toContainEqual({ type: "done", name });
    }
  });

  it("stops before the weights of another model", async () => {
    fix.hub.add(ID, { ...REPO, "config.json": '{"model_type":"llama"}' });
    await expect(fix.resolve()).rejects.toMatchObject({
      code: "checkpoint",
      message:
        'org/gemma: config.json: model_type: expected one of Gemma 4, found "llama"; its weights were not downloaded',
    });
    expect(fix.hub.downloadsOf("model.safetensors")).toEqual([]);
    expect(existsSync(inRepo("refs"))).toBe(false);
  });

  it.each([
    ["model.safetensors", /expected model\.safetensors or its index in the repository, found none/],
    ["config.json", /expected config\.json in the repository, found none/],
  ])("tells that there is no %s", async (name, line) => {
    const { [name]: _, ...rest } = REPO;
    fix.hub.add(ID, rest);
    await expect(fix.resolve()).rejects.toThrow(line);
  });

  it("copies where there can be no links", async () => {
    const environment = environmentOf(fix.hub.endpoint, fix.cache, { HF_HUB_DISABLE_SYMLINKS: "1" });
    const { folder } = await fix.resolve({ environment });
    expect(lstatSync(join(folder, "model.safetensors")).isSymbolicLink()).toBe(false);
    expect(holds(folder)).toBe(true);
    expect(await fix.resolve({ environment, refresh: true })).toMatchObject({ downloaded: 0 });
  });

  it("fetches anew what is broken, with verify", async () => {
    await fix.resolve();
    const broken = Buffer.from(WEIGHTS);
    broken[1000] = (broken[1000] ?? 0) ^ 1;
    writeFileSync(blob(), broken);
    expect(await fix.resolve({ refresh: true })).toMatchObject({ downloaded: 0 });
    const { folder, downloaded } = await fix.resolve({ verify: true });
    expect(downloaded).toBe(WEIGHTS.length);
    expect(holds(folder)).toBe(true);
  });
});

describe("a connection that breaks", () => {
  it.each([1, 2, 3, 4, 5])("at random points (%i) is gone on with", async (seed) => {
    let x = seed;
    const random = () => {
      x = (Math.imul(x, 1103515245) + 12345) >>> 0;
      return x / 2 ** 32;
    };
    let cuts = 0;
    fix.hub.storage = (request, response, path) => {
      const data = fix.hub.content(path);
      if (!data || random() < 0.2) return false;
      cuts++;
      send(request, response, data, storageEtag(data), Math.floor(random() * 120_000));
      return true;
    };
    fix.hub.hub = (request, response, path) => {
      if (!path.includes("/resolve/") || random() < 0.7) return false;
      request.socket.destroy();
      response.destroy();
      return true;
    };
    const { folder } = await fix.resolve();
    expect(cuts).toBeGreaterThan(0);
    expect(holds(folder)).toBe(true);
    // Nothing that had arrived came again.
    const starts = fix.hub
      .downloadsOf("model.safetensors")
      .filter(({ host }) => host === "storage")
      .map(({ headers }) => Number(/\d+/.exec(headers.range ?? "0")?.[0]));
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
  });

  it("is gone on with by the next run, with Range and If-Range", async () => {
    let limit = 150_000;
    fix.hub.storage = (request, response, path) => {
      const data = fix.hub.content(path);
      if (!data || !path.endsWith(".safetensors")) return false;
      send(request, response, data, storageEtag(data), limit);
      limit = 0;
      return true;
    };
    await expect(fix.resolve()).rejects.toThrow(
      /^org\/gemma: model\.safetensors: the connection .* broke .*; run again: it goes on/,
    );
    expect(existsSync(blob())).toBe(false);
    expect(existsSync(inRepo("refs", "main"))).toBe(false);
    const had = statSync(`${blob()}.mlx-gemma.incomplete`).size;
    expect(had).toBeGreaterThan(0);
    fix.hub.storage = () => false;
    fix.hub.seen.length = 0;
    const { folder, downloaded } = await fix.resolve();
    expect(downloaded).toBe(WEIGHTS.length - had);
    expect(holds(folder)).toBe(true);
    expect(fix.hub.downloadsOf("model.safetensors").at(-1)?.headers).toMatchObject({
      range: `bytes=${had}-`,
      "if-range": storageEtag(WEIGHTS),
    });
  });

  it("and an ETag that changes meanwhile starts the file anew", async () => {
    const other = noise(WEIGHTS.length, 7);
    let first = true;
    fix.hub.storage = (request, response, path) => {
      if (!path.endsWith(".safetensors")) return false;
      // Half of another version, then the right one under another name.
      if (first) send(request, response, other, '"old"', 200_000);
      else send(request, response, WEIGHTS, '"new"');
      first = false;
      return true;
    };
    const { folder } = await fix.resolve();
    expect(holds(folder)).toBe(true);
    const requests = fix.hub.downloadsOf("model.safetensors").filter(({ host }) => host === "storage");
    expect(requests.map(({ headers }) => headers["if-range"])).toEqual([undefined, '"old"']);
  });

  it("and a server that ignores If-Range is known by its new ETag", async () => {
    const other = noise(WEIGHTS.length, 7);
    let count = 0;
    fix.hub.storage = (request, response, path) => {
      if (!path.endsWith(".safetensors")) return false;
      request.headers["if-range"] = undefined;
      if (count++ === 0) send(request, response, other, '"old"', 200_000);
      else send(request, response, WEIGHTS, '"new"');
      return true;
    };
    expect(holds((await fix.resolve()).folder)).toBe(true);
    // It was not the hash that found it out, after the last byte.
    expect(JSON.stringify(fix.progress)).not.toContain("not those announced");
  });

  it("and a server that mixes versions is found out by the hash, and asked anew", async () => {
    const other = noise(WEIGHTS.length, 7);
    let count = 0;
    fix.hub.storage = (request, response, path) => {
      if (!path.endsWith(".safetensors")) return false;
      send(request, response, count === 0 ? other : WEIGHTS, '"same"', count++ === 0 ? 200_000 : undefined);
      return true;
    };
    const { folder } = await fix.resolve();
    expect(holds(folder)).toBe(true);
    expect(count).toBe(3);
  });

  it("and a server without ranges sends all of it again", async () => {
    let limit: number | undefined = 100_000;
    fix.hub.storage = (request, response, path) => {
      if (!path.endsWith(".safetensors")) return false;
      request.headers.range = undefined;
      send(request, response, WEIGHTS, "", limit);
      limit = undefined;
      return true;
    };
    expect(holds((await fix.resolve()).folder)).toBe(true);
  });

  it("by silence counts as broken", async () => {
    let silent = true;
    fix.hub.storage = (_, response, path) => {
      if (!silent || !path.endsWith(".safetensors")) return false;
      silent = false;
      response.writeHead(200, { "content-length": WEIGHTS.length, etag: storageEtag(WEIGHTS) });
      response.write(WEIGHTS.subarray(0, 1000));
      return true;
    };
    const environment = { ...fix.environment, timeout: 1 };
    expect(holds((await fix.resolve({ environment })).folder)).toBe(true);
    expect(fix.progress).toContainEqual(
      expect.objectContaining({ type: "waiting", name: "model.safetensors" }),
    );
  });

  it("after the caller's abort leaves what can be gone on with", async () => {
    const controller = new AbortController();
    fix.hub.storage = (_, response, path) => {
      if (!path.endsWith(".safetensors")) return false;
      response.writeHead(200, { "content-length": WEIGHTS.length, etag: storageEtag(WEIGHTS) });
      response.write(WEIGHTS.subarray(0, 100_000), () => setTimeout(() => controller.abort(), 50));
      return true;
    };
    await expect(fix.resolve({ signal: controller.signal })).rejects.toMatchObject({ code: "aborted" });
    expect(statSync(`${blob()}.mlx-gemma.incomplete`).size).toBe(100_000);
    fix.hub.storage = () => false;
    expect(await fix.resolve()).toMatchObject({ downloaded: WEIGHTS.length - 100_000 });
  });
});

describe("a hub that asks to wait", () => {
  it("with 429 and Retry-After is waited for", async () => {
    let left = 2;
    let before = 0;
    const gaps: number[] = [];
    fix.hub.hub = (_, response, path) => {
      if (!path.endsWith("/config.json")) return false;
      const now = performance.now();
      if (before) gaps.push(now - before);
      before = now;
      if (left-- <= 0) return false;
      response.writeHead(429, { "retry-after": "0.3" }).end();
      return true;
    };
    await fix.resolve();
    expect(gaps).toHaveLength(2);
    for (const gap of gaps) expect(gap).toBeGreaterThan(290);
    expect(fix.progress).toContainEqual(
      expect.objectContaining({
        type: "waiting",
        reason: expect.stringMatching(/answers 429, trying again in 1 s/),
      }),
    );
  });

  it("for longer than anyone would is told", async () => {
    fix.hub.hub = (_, response) => {
      response.writeHead(429, { "retry-after": "7200" }).end();
      return true;
    };
    await expect(fix.resolve()).rejects.toThrow(/asks to wait 7200 s; run again then/);
  });

  it.each([500, 502, 503, 504, 408])("with %i is asked again", async (status) => {
    let left = 3;
    fix.hub.hub = (_, response) => {
      if (left-- <= 0) return false;
      response.writeHead(status).end("<html>");
      return true;
    };
    expect(holds((await fix.resolve()).folder)).toBe(true);
  });

  it("for ever is given up", async () => {
    fix.hub.hub = (_, response) => {
      response.writeHead(503).end();
      return true;
    };
    await expect(fix.resolve()).rejects.toMatchObject({
      code: "hub",
      message: /found status 503; try again later$/,
    });
    expect(fix.hub.seen).toHaveLength(6);
  });
});

describe("the token", () => {
  it("goes to the endpoint and nowhere else", async () => {
    await fix.resolve();
    const hub = fix.hub.seen.filter(({ host }) => host === "hub");
    const storage = fix.hub.seen.filter(({ host }) => host === "storage");
    expect(hub.length).toBeGreaterThan(4);
    for (const { headers } of hub) expect(headers.authorization).toBe(`Bearer ${TOKEN}`);
    expect(storage).toHaveLength(2);
    for (const { headers } of storage) {
      expect(JSON.stringify(headers)).not.toContain(TOKEN);
      expect(headers.authorization).toBeUndefined();
    }
  });

  it("does not come along to a next page elsewhere", async () => {
    fix.hub.hub = (_, response, path) => {
      if (!path.includes("/tree/")) return false;
      response.setHeader("link", `<http://${fix.hub.storageHost}/api/models/more>; rel="next"`);
      json(
        response,
        Object.entries(REPO).map(([name, data]) => listed(name, Buffer.from(data))),
      );
      return true;
    };
    await expect(fix.resolve()).rejects.toMatchObject({ code: "hub" });
    expect(fix.hub.seen.filter(({ host }) => host === "storage")).toEqual([]);
  });

  it("is in no error and no progress", async () => {
    const said: string[] = [];
    for (const [status, code] of [
      [401, "GatedRepo"],
      [403, "GatedRepo"],
      [404, "RepoNotFound"],
      [401, ""],
      [403, ""],
      [418, ""],
    ] as const) {
      fix.hub.hub = (request, response) => {
        // A server that repeats what it was sent.
        refuse(response, status, code, `you sent ${status === 418 ? "" : request.headers["user-agent"]}`);
        return true;
      };
      const error: unknown = await fix.resolve().catch((reason: unknown) => reason);
      said.push(
        inspect(error, { depth: 9 }),
        JSON.stringify(fix.progress),
        inspect(fix.environment, { depth: 9 }),
      );
    }
    expect(said.join("\n")).not.toContain(TOKEN);
  });
});
