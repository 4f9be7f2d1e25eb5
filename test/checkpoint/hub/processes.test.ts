import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { removeDeadLocks, takeLock } from "../../../src/checkpoint/hub/lock.js";
import { machine } from "../../../src/process-alive.js";
import { fixture, holds, ID, noise, REPO } from "./download-fixture.js";
import { sha256, storageEtag } from "./fake-hub.js";

const fix = fixture();
const CHILD = fileURLToPath(new URL("pull-child.mjs", import.meta.url));
const PATIENCE = { retry: 0.05, longest: 5, beat: 0.1, stale: 1.5 };
const BIG = noise(6_000_000, 3);

interface Outcome {
  readonly downloaded?: number;
  readonly folder?: string;
  readonly waited: readonly string[];
  readonly error?: string;
}

/** Starts a download in a process of its own. */
function start(): {
  child: ChildProcess;
  outcome: Promise<Outcome | undefined>;
  seen: (text: RegExp) => Promise<void>;
} {
  const child = spawn(process.execPath, [CHILD, fix.hub.endpoint, fix.cache, ID, JSON.stringify(PATIENCE)]);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const outcome = new Promise<Outcome | undefined>((resolve) => {
    child.on("close", () => resolve(stdout === "" ? undefined : JSON.parse(stdout)));
  });
  const seen = async (text: RegExp) => {
    while (!text.test(stderr)) await sleep(10);
  };
  return { child, outcome, seen };
}

/** Sends the weights slowly: `pieces` in `seconds`. */
function slowly(pieces = 40, seconds = 2): void {
  fix.hub.storage = (request, response, path) => {
    const data = fix.hub.content(path);
    if (!data || !path.endsWith(".safetensors")) return false;
    const from = Number(/\d+/.exec(request.headers.range ?? "0")?.[0]);
    response.writeHead(from > 0 ? 206 : 200, {
      etag: storageEtag(data),
      "content-length": data.length - from,
      ...(from > 0 ? { "content-range": `bytes ${from}-${data.length - 1}/${data.length}` } : {}),
    });
    const size = Math.ceil(data.length / pieces);
    let at = from;
    const timer = setInterval(
      () => {
        response.write(data.subarray(at, at + size));
        at += size;
        if (at < data.length && !response.destroyed) return;
        clearInterval(timer);
        response.end();
      },
      (seconds * 1000) / pieces,
    );
    return true;
  };
}

const big = () => fix.hub.add(ID, { ...REPO, "model.safetensors": BIG });
const blob = () => join(fix.cache, "models--org--gemma", "blobs", sha256(BIG));
const clean = () =>
  readdirSync(fix.cache, { recursive: true, encoding: "utf8" }).filter((name) =>
    /incomplete|\.lock$|breaking/.test(name),
  );

describe("two processes", () => {
  it("download a repository once between them", async () => {
    big();
    slowly();
    const runs = [start(), start()];
    const outcomes = await Promise.all(runs.map(({ outcome }) => outcome));
    const total = outcomes.reduce((sum, outcome) => sum + (outcome?.downloaded ?? 0), 0);
    const bytes = Object.entries(REPO).reduce(
      (sum, [name, data]) => sum + (name === "model.safetensors" ? BIG : Buffer.from(data)).length,
      0,
    );
    expect(outcomes.map((outcome) => outcome?.error)).toEqual([undefined, undefined]);
    expect(total).toBe(bytes);
    expect(outcomes.flatMap((outcome) => outcome?.waited ?? []).join()).toMatch(
      /process \d+ downloads it already/,
    );
    for (const outcome of outcomes)
      expect(holds(outcome?.folder ?? "", { ...REPO, "model.safetensors": BIG })).toBe(true);
    expect(clean()).toEqual([]);
  });

  it.each([1, 2, 3])("of which one is killed (%i): the other goes on where it was", async (quarter) => {
    big();
    slowly();
    const first = start();
    await first.seen(new RegExp(`model\\.safetensors ${Math.floor((BIG.length * quarter) / 4 / 1e6)}\\d{6}`));
    const second = start();
    await sleep(300);
    first.child.kill("SIGKILL");
    expect(await first.outcome).toBeUndefined();
    const outcome = await second.outcome;
    expect(outcome?.error).toBeUndefined();
    expect(holds(outcome?.folder ?? "", { ...REPO, "model.safetensors": BIG })).toBe(true);
    const had = BIG.length - (outcome?.downloaded ?? 0);
    expect(had).toBeGreaterThan((BIG.length * quarter) / 4 - 1e6);
    expect(clean()).toEqual([]);
  });
});

describe("a process that is killed", () => {
  it("again and again leaves nothing half-written, and the last run heals all", async () => {
    big();
    slowly(60, 1.5);
    let had = 0;
    for (let round = 0; round < 4; round++) {
      const run = start();
      await run.seen(/model\.safetensors [1-9]\d{5,}/);
      await sleep(100 + 70 * round);
      run.child.kill("SIGKILL");
      await run.outcome;
      if (existsSync(blob())) break;
      expect(existsSync(join(fix.cache, "models--org--gemma", "refs", "main"))).toBe(false);
      const size = statSync(`${blob()}.mlx-gemma.incomplete`).size;
      // What had come is never less; a run that is killed early may have added nothing.
      expect(size).toBeGreaterThanOrEqual(had);
      expect(readFileSync(`${blob()}.mlx-gemma.incomplete`).equals(BIG.subarray(0, size))).toBe(true);
      had = size;
    }
    expect(had).toBeGreaterThan(0);
    const outcome = await start().outcome;
    expect(outcome?.error).toBeUndefined();
    expect(outcome?.downloaded).toBeLessThanOrEqual(BIG.length - had);
    expect(holds(outcome?.folder ?? "", { ...REPO, "model.safetensors": BIG })).toBe(true);
    expect(clean()).toEqual([]);
  });

  it("and whose partial file was spoilt meanwhile is found out and healed", async () => {
    big();
    slowly();
    const run = start();
    await run.seen(/model\.safetensors [1-9]\d{6,}/);
    run.child.kill("SIGKILL");
    await run.outcome;
    const partial = `${blob()}.mlx-gemma.incomplete`;
    const bytes = readFileSync(partial);
    bytes[500_000] = (bytes[500_000] ?? 0) ^ 255;
    writeFileSync(partial, bytes);
    fix.hub.storage = () => false;
    const outcome = await start().outcome;
    expect(outcome?.waited).toContain("its bytes are not those announced, fetching it anew");
    expect(holds(outcome?.folder ?? "", { ...REPO, "model.safetensors": BIG })).toBe(true);
  });

  it("while asleep loses its lock, and does no harm when it wakes up", async () => {
    big();
    slowly(40, 3);
    const sleeper = start();
    await sleeper.seen(/model\.safetensors [1-9]\d{6,}/);
    sleeper.child.kill("SIGSTOP");
    const other = await start().outcome;
    expect(other?.error).toBeUndefined();
    expect(holds(other?.folder ?? "", { ...REPO, "model.safetensors": BIG })).toBe(true);
    sleeper.child.kill("SIGCONT");
    const woken = await sleeper.outcome;
    // It may have lost its work; the blob is whole all the same.
    expect(woken?.error ?? "").toMatch(/^$|another process took the download over|the connection/);
    expect(readFileSync(blob()).equals(BIG)).toBe(true);
  });
});

describe("a lock", () => {
  const path = () => join(fix.cache, ".locks", "x.lock");
  const options = (more: Partial<Parameters<typeof takeLock>[1]> = {}) => ({
    patience: { ...PATIENCE, beat: 0.05, stale: 0.4 },
    signal: undefined,
    isDone: async () => false,
    onWait: () => {},
    ...more,
  });

  it("is held by one at a time, and given on", async () => {
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const lock = await takeLock(path(), options());
        most = Math.max(most, ++inside);
        await sleep(20);
        inside--;
        await lock?.release();
      }),
    );
    expect(most).toBe(1);
    expect(existsSync(path())).toBe(false);
  });

  it("stays with an owner that lives, however long it takes", async () => {
    const lock = await takeLock(path(), options());
    const signal = AbortSignal.timeout(1500);
    await expect(takeLock(path(), options({ signal }))).rejects.toMatchObject({ code: "aborted" });
    expect(await lock?.held()).toBe(true);
    await lock?.release();
  });

  it("of an owner elsewhere that gives no sign of life is taken over after a while", async () => {
    mkdirSync(join(fix.cache, ".locks"));
    writeFileSync(path(), JSON.stringify({ pid: 1, machine: "elsewhere", id: "x" }));
    const before = performance.now();
    const told: string[] = [];
    const lock = await takeLock(path(), options({ onWait: (owner) => void told.push(owner) }));
    expect(performance.now() - before).toBeGreaterThan(390);
    expect(told).toEqual(["process 1 elsewhere"]);
    expect(lock).toMatchObject({ takenOver: true });
    await lock?.release();
  });

  it("of an owner elsewhere with a clock that is wrong is not", async () => {
    mkdirSync(join(fix.cache, ".locks"));
    writeFileSync(path(), JSON.stringify({ pid: 1, machine: "elsewhere", id: "x" }));
    let beats = 0;
    const timer = setInterval(() => utimesSync(path(), 1000 + ++beats, 1000 + beats), 50);
    const signal = AbortSignal.timeout(1500);
    await expect(takeLock(path(), options({ signal }))).rejects.toMatchObject({ code: "aborted" });
    clearInterval(timer);
  });

  it.each(["", "no json", '{"pid":-1}'])("that holds %j is broken after a while", async (text) => {
    mkdirSync(join(fix.cache, ".locks"));
    writeFileSync(path(), text);
    const lock = await takeLock(path(), options());
    expect(await lock?.held()).toBe(true);
    await lock?.release();
  });

  it("that another took over is not released by the one that lost it", async () => {
    const lock = await takeLock(path(), options());
    writeFileSync(path(), JSON.stringify({ pid: 1, machine: "elsewhere", id: "y" }));
    expect(await lock?.held()).toBe(false);
    await lock?.release();
    expect(existsSync(path())).toBe(true);
  });

  it("goes at once where the one that was breaking it was killed, too", async () => {
    const name = (pid: number) => join(fix.cache, ".locks", `${pid}.mlx-gemma.lock`);
    const dead = (id: string) =>
      JSON.stringify({ pid: spawnSync(process.execPath, ["-e", ""]).pid, machine: machine(), id });
    mkdirSync(join(fix.cache, ".locks"));
    for (const pid of [1, 2]) {
      writeFileSync(name(pid), dead("lock"));
      writeFileSync(`${name(pid)}.breaking`, dead("guard"));
    }
    const lock = await takeLock(name(1), options({ signal: AbortSignal.timeout(5000) }));
    expect(await lock?.held()).toBe(true);
    await lock?.release();
    await removeDeadLocks(join(fix.cache, ".locks"));
    expect(readdirSync(join(fix.cache, ".locks"))).toEqual([]);
  });

  it("is not taken from one that lives by a guard of its own", async () => {
    mkdirSync(join(fix.cache, ".locks"));
    const living = JSON.stringify({ pid: process.pid, machine: machine(), id: "guard" });
    writeFileSync(`${path()}.breaking`, living);
    await removeDeadLocks(join(fix.cache, ".locks"));
    expect(readFileSync(`${path()}.breaking`, "utf8")).toBe(living);
  });

  it("is needless when the other one did the work", async () => {
    const lock = await takeLock(path(), options());
    let done = false;
    setTimeout(() => {
      done = true;
    }, 100);
    expect(await takeLock(path(), options({ isDone: async () => done }))).toBeUndefined();
    await lock?.release();
  });
});
