import { spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { ownerTag } from "../../src/process-alive.js";
import { quantize } from "../../src/quantize/quantize.js";
import { rejected, temporaryFolder } from "../checkpoint/helpers.js";
import { jsonOf } from "./helpers.js";

const QUANTIZE = pathToFileURL(join(import.meta.dirname, "../../dist/quantize/quantize.js")).href;
const SMALL = join(import.meta.dirname, "../golden/dense-k-eq-v/assistant");

/** Quantizes a small assistant; its rows do not all take groups of 32, which does not matter here. */
const run = (output: string, options = {}, parts = {}) =>
  quantize({ model: SMALL, groupSize: 32, output, ...options }, () => {}, parts);

/** Kills a process at its first written block; resolves to what its parent folder holds then. */
async function killedRun(parent: string, signal: NodeJS.Signals): Promise<string[]> {
  const script = `
    import { quantize } from ${JSON.stringify(QUANTIZE)};
    // Blocks of a row, so that it is caught in the middle.
    await quantize({ output: ${JSON.stringify(join(parent, "out"))} }, (p) => p.type === "bytes" && console.log("block"), { blockBytes: 1 });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.once("data", () => child.kill(signal));
  const ended = await new Promise((resolve) => child.on("close", (_, by) => resolve(by)));
  expect(ended).toBe(signal);
  return readdirSync(parent);
}

/** The process id of nobody. */
function deadPid(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

describe("a run that is killed", () => {
  it("leaves nothing under the final name, and the next run removes what it left", async () => {
    const parent = temporaryFolder();
    const left = await killedRun(parent, "SIGKILL");
    expect(left).toHaveLength(1);
    expect(left[0]).toMatch(/^\.out\.mlx-gemma-[0-9a-f]{12}-\d+-[0-9a-f]{8}$/);
    expect(readdirSync(join(parent, left[0] ?? ""))).toContain("model.safetensors");
    const { notes } = await run(join(parent, "out"));
    expect(notes[0]).toMatch(/^removed what a killed run left: /);
    expect(readdirSync(parent)).toEqual(["out"]);
  });

  it("a leftover with files of someone else stays, and is told", async () => {
    const parent = temporaryFolder();
    const left = join(parent, `.out.mlx-gemma-${ownerTag(deadPid())}-0123abcd`);
    mkdirSync(left);
    writeFileSync(join(left, "precious.txt"), "mine");
    writeFileSync(
      join(left, ".mlx-gemma-writing.json"),
      JSON.stringify({ files: ["../../etc", "config.json"] }),
    );
    const { notes } = await run(join(parent, "out"));
    expect(notes[0]).toMatch(/a killed run left .*, with files that mlx-gemma did not write/);
    expect(readFileSync(join(left, "precious.txt"), "utf8")).toBe("mine");
  });

  it.each([
    ["that goes on", () => ownerTag(process.ppid)],
    ["on another machine, or in another container", () => `0123456789ab-${deadPid()}`],
  ])("the folder of a run %s is left alone", async (_, tag) => {
    const parent = temporaryFolder();
    const other = join(parent, `.out.mlx-gemma-${tag()}-0123abcd`);
    mkdirSync(other);
    writeFileSync(join(other, "model.safetensors"), "half");
    const { notes } = await run(join(parent, "out"));
    expect(notes[0]).toMatch(/^another run is writing out/);
    expect(readdirSync(other)).toEqual(["model.safetensors"]);
  });

  it("what a run that goes on has moved aside is not put back", async () => {
    const parent = temporaryFolder();
    await run(join(parent, "out"));
    const aside = `.out.mlx-gemma-${ownerTag(process.ppid)}-0123abcd-replaced`;
    renameSync(join(parent, "out"), join(parent, aside));
    const { notes } = await run(join(parent, "out"));
    expect(notes[0]).toMatch(/^another run is writing out/);
    expect(readdirSync(parent)).toEqual([aside, "out"]);
  });

  it("between the renames of --force: the earlier output comes back", async () => {
    const parent = temporaryFolder();
    await run(join(parent, "out"));
    renameSync(join(parent, "out"), join(parent, `.out.mlx-gemma-${ownerTag(deadPid())}-0123abcd-replaced`));
    const { notes } = await run(join(parent, "out"), { force: true, bits: 8 });
    expect(notes[0]).toMatch(/^out has its earlier output back/);
    expect(readdirSync(parent)).toEqual(["out"]);
    expect(jsonOf(join(parent, "out")).quantization).toMatchObject({ bits: 8 });
  });
});

describe("an output that is there already", () => {
  it("is refused, but for an empty folder", async () => {
    const output = join(temporaryFolder(), "out");
    mkdirSync(output);
    await run(output);
    const again = await rejected("usage", run(output));
    expect(again.message).toMatch(
      /expected a new or empty folder .* found the output of an earlier run; give --force/,
    );
  });

  it("--force replaces what an earlier run wrote, file by file", async () => {
    const output = join(temporaryFolder(), "out");
    const first = await run(output, {}, { shardBytes: 10_000 });
    expect(first.shards).toBeGreaterThan(1);
    await run(output, { force: true });
    expect(readdirSync(output).filter((name) => name.endsWith(".safetensors"))).toEqual([
      "model.safetensors",
    ]);
    expect(readdirSync(join(output, ".."))).toEqual(["out"]);
  });

  it("--force replaces nothing else", async () => {
    const output = join(temporaryFolder(), "out");
    await run(output);
    writeFileSync(join(output, "notes.txt"), "mine");
    const beside = await rejected("usage", run(output, { force: true }));
    expect(beside.message).toMatch(/found "notes.txt" beside an earlier output; move it away/);
    const strange = temporaryFolder();
    writeFileSync(join(strange, "a"), "");
    const other = await rejected("usage", run(strange, { force: true }));
    expect(other.message).toMatch(/found a folder with 1 file in it; give a new name/);
    expect(readdirSync(strange)).toEqual(["a"]);
    const file = join(strange, "a");
    expect((await rejected("usage", run(file, { force: true }))).message).toMatch(
      /found a file; give the name of a new folder/,
    );
  });

  it("through a link it is the folder behind the link", async () => {
    const parent = temporaryFolder();
    mkdirSync(join(parent, "real"));
    symlinkSync(join(parent, "real"), join(parent, "link"));
    const { output } = await run(join(parent, "link"));
    expect(output.endsWith("real")).toBe(true);
    expect(existsSync(join(parent, "link", "config.json"))).toBe(true);
  });
});

describe("an output that appears during the run", () => {
  /** Runs, and does something once it is under way. */
  const during = (output: string, act: () => void, options = {}) => {
    let done = false;
    return quantize({ model: SMALL, groupSize: 32, output, ...options }, (progress) => {
      if (progress.type !== "bytes" || done) return;
      done = true;
      act();
    });
  };
  const other = temporaryFolder();

  it("is not replaced without --force, whoever wrote it", async () => {
    const parent = temporaryFolder();
    const output = join(parent, "out");
    await run(join(other, "out"), { bits: 8 });
    const own = during(output, () => cpSync(join(other, "out"), output, { recursive: true }));
    expect((await rejected("usage", own)).message).toMatch(
      /found the output of an earlier run; give --force/,
    );
    expect(jsonOf(output).quantization).toMatchObject({ bits: 8 });
    expect(readdirSync(parent)).toEqual(["out"]);
  });

  it("is replaced with --force if it is ours, and only then", async () => {
    const parent = temporaryFolder();
    const output = join(parent, "out");
    await run(join(other, "forced"), { bits: 8 });
    await during(output, () => cpSync(join(other, "forced"), output, { recursive: true }), { force: true });
    expect(jsonOf(output).quantization).toMatchObject({ bits: 4 });
    expect(readdirSync(parent)).toEqual(["out"]);
    const strange = join(parent, "strange");
    const mine = during(
      strange,
      () => {
        mkdirSync(strange);
        writeFileSync(join(strange, "a"), "");
      },
      { force: true },
    );
    expect((await rejected("usage", mine)).message).toMatch(
      /found a folder with 1 file in it; give a new name/,
    );
    expect(readdirSync(strange)).toEqual(["a"]);
    expect(readdirSync(parent)).toEqual(["out", "strange"]);
  });
});

describe("a disk", () => {
  it("without room is told before anything is written", async () => {
    const parent = temporaryFolder();
    const statfs = async () => ({ bavail: 10, bsize: 4096 });
    const { message } = await rejected("disk", run(join(parent, "deep/out"), {}, { statfs }));
    expect(message).toMatch(/expected room for 16\.\d MB|expected room for 17 MB/);
    expect(message).toMatch(/found 41\.0 kB free; free some/);
    expect(readdirSync(parent)).toEqual([]);
  });

  it("that takes no folder there is told", async () => {
    const parent = temporaryFolder();
    writeFileSync(join(parent, "file"), "");
    const { message } = await rejected("disk", run(join(parent, "file/out")));
    expect(message).toMatch(/expected a place to write, found ENOTDIR/);
  });
});

it("an abort in the middle leaves nothing", async () => {
  const parent = temporaryFolder();
  const controller = new AbortController();
  const running = quantize(
    { output: join(parent, "out"), signal: controller.signal },
    (progress) => progress.type === "bytes" && controller.abort(),
    { blockBytes: 1000 },
  );
  await rejected("aborted", running);
  expect(readdirSync(parent)).toEqual([]);
});
