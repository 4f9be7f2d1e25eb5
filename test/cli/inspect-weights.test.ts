import { cpSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Inspection, inspection } from "../../src/inspect/schema.js";
import { copyOf, safetensors, temporaryFolder } from "../checkpoint/helpers.js";
import { layOut } from "../checkpoint/hub/cache-fixture.js";
import { sparseCheckpoint } from "../inspect/sparse.js";
import {
  EMBEDDED,
  mlxGemma,
  mlxGemmaOnTerminal,
  NO_TERMINAL,
  ROOT,
  type RunOptions,
  readJson,
  STYLE,
} from "./helpers.js";
import { hubFixture } from "./hub-fixture.js";

const TARGET = `${EMBEDDED}/target`;
const ASSISTANT = `${EMBEDDED}/assistant`;
const inspect = (args: readonly string[], options?: RunOptions) =>
  mlxGemma(["inspect-weights", ...args], options);
const LONG = "model.layers.0.post_feedforward_layernorm.weight";

/** What `--json` prints, checked against the documented schema. */
async function json(args: readonly string[], options?: RunOptions): Promise<Inspection> {
  const { stdout } = await inspect([...args, "--json"], options);
  return readJson(inspection, stdout);
}

/** A checkpoint with a flaw that the values alone show. */
function spoiled(): string {
  const folder = copyOf(TARGET);
  const file = join(folder, "model.safetensors");
  const bytes = readFileSync(file);
  bytes.writeUInt16LE(0x7fc0, bytes.length - 2);
  writeFileSync(file, bytes);
  return folder;
}

describe("the views", () => {
  it("by default: what a target is", async () => {
    const { code, stdout, stderr } = await inspect([]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("Gemma 4 target (gemma4_text)\n");
    expect(stdout).toMatch(/layers {2}0\n +░░░░█░░░░█\nK\/V {5}···SFssssf\n/);
    expect(stdout).toMatch(/per-layer embedding +33 +4\.67 M/);
    expect(stdout).toMatch(/1k +590 kB .* tok\/s\n/);
    expect(stdout).not.toMatch(STYLE);
  });

  it("by default: what an assistant is", async () => {
    const { stdout } = await inspect([ASSISTANT]);
    expect(stdout).toMatch(/backbone +hidden 256, of its target\n/);
    expect(stdout).toMatch(/head +centroid, 128 clusters, 12 of them scored in a step \(384 tokens\)\n/);
    expect(stdout).toMatch(/tensors +11 a layer\n/);
  });

  it.each<[string, string[]]>([
    ["summary", [ASSISTANT]],
    ["tensors", [TARGET, "--tensors", "*.q_proj.*"]],
    ["tree", ["--tree"]],
    ["stats", [ASSISTANT, "--stats"]],
    ["check", [ASSISTANT, "--check"]],
    ["pair", ["--pair", "assistant"]],
    [
      "diff",
      [`${ROOT}test/golden/moe/target`, "--diff", `${ROOT}test/golden/moe-quantized/target`, "--stats"],
    ],
  ])("--json of %s is as its schema says", async (view, args) => {
    expect((await json(args)).view).toBe(view);
  });

  it("the schema refuses what is another", () => {
    expect(inspection.safeParse({ view: "tree", checkpoint: {}, tree: [] }).success).toBe(false);
  });

  it("--tensors lists what the header says, names whole where there is no terminal", async () => {
    const { stdout } = await inspect([TARGET, "--tensors", "layers.0"]);
    const [head, ...rows] = stdout.trimEnd().split("\n");
    expect(head).toMatch(/^name +shape +dtype +bytes +offset$/);
    expect(rows.every((row) => row.includes("layers.0."))).toBe(true);
    expect(stdout).toContain(`${LONG}  `);
    const place = rows.map((row) => row.indexOf("bfloat16"));
    expect(new Set(place).size).toBe(1);
  });

  it("--pair tells every rule, and ends with 4 where one is broken", async () => {
    const fits = await inspect([TARGET, "--pair", ASSISTANT]);
    expect(fits.code).toBe(0);
    expect(fits.stdout).toMatch(/hidden size +✓ +256 +256\n/);
    const other = await inspect([TARGET, "--pair", `${ROOT}test/golden/moe/assistant`]);
    expect(other.code).toBe(4);
    expect(other.stdout).toMatch(/vocabulary +✗ +4096 +\d+\n/);
    expect(other.stderr).toMatch(
      /^(?:mlx-gemma: warning: .*\n)*mlx-gemma: target and assistant do not fit: hidden size, vocabulary, .*; give the assistant that was made for this target\n$/,
    );
  });

  it("--diff tells a checkpoint from itself by nothing", async () => {
    const { code, stdout } = await inspect([TARGET, "--diff", TARGET, "--stats"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n160 tensors: 160 of the same shape and dtype; 0 with other values\n$/);
  });

  it("--diff ends with 1 where names, shapes or dtypes differ, with --stats where values do", async () => {
    const codeOf = async (...args: string[]) => (await inspect([TARGET, "--diff", ...args])).code;
    expect(await codeOf(ASSISTANT)).toBe(1);
    const other = spoiled();
    expect(await codeOf(other)).toBe(0);
    expect(await codeOf(other, "--stats")).toBe(1);
  });

  it("--check ends with 1 and a line for each flaw", async () => {
    const sound = await inspect([TARGET, "--check"]);
    expect(sound).toEqual({ code: 0, stdout: `${TARGET}: no flaw found in 22.9 MB\n`, stderr: "" });
    const folder = spoiled();
    const flawed = await inspect([folder, "--check"]);
    expect(flawed.code).toBe(1);
    expect(flawed.stdout).toMatch(
      /^\S+model\.safetensors: tensor \S+: expected numbers, found 1 NaN; download the file again\n$/,
    );
    const headers = await inspect([folder, "--check", "--headers-only"]);
    expect(headers.code).toBe(0);
    expect(headers.stderr).toMatch(/^mlx-gemma: note: the values were not read/);
    expect((await inspect([folder, "--check", "--headers-only", "-q"])).stderr).toBe("");
  });

  it("a file that is cut off is told by every view that meets it", async () => {
    const folder = copyOf(TARGET);
    truncateSync(join(folder, "model.safetensors"), 1_000_000);
    const flaw = "expected 22885516 bytes, found 1000000: the file is cut off; download the file again";
    const json = await inspect([folder, "--check", "--json"]);
    expect(json.code).toBe(1);
    expect(readJson(inspection, json.stdout)).toMatchObject({
      findings: [{ code: "checkpoint", message: `${join(folder, "model.safetensors")}: ${flaw}` }],
    });
    const stats = await inspect([folder, "--stats"]);
    expect(stats).toMatchObject({ code: 3, stdout: "" });
    expect(stats.stderr).toContain(flaw);
    const note = `note: ${folder}: 1 flaw in the headers; --check lists them\n`;
    expect((await inspect([folder])).stderr).toContain(note);
    const diff = await inspect([TARGET, "--diff", folder]);
    expect(diff.code).toBe(0);
    expect(diff.stderr).toContain(note);
  });

  it("--stats of one tensor draws its histogram", async () => {
    const { stdout } = await inspect([TARGET, "--stats", "--tensors", "layers.4.mlp.down_proj"]);
    expect(stdout.split("\n")[1]).toMatch(
      /^model\.layers\.4\.mlp\.down_proj\.weight +\[256, 512\] +bfloat16 .* [ ▁▂▃▄▅▆▇█]{16}$/,
    );
    expect(stdout).toMatch(/█{10,}/);
  });

  it("--stats of many bytes reads them on several threads, with the same result", async () => {
    // 96 MB of zeros with a last value of 1.
    const folder = temporaryFolder();
    const bytes = safetensors({
      a: { dtype: "F32", shape: [8, 1024, 1024] },
      b: { dtype: "BF16", shape: [32, 1024, 1024] },
    });
    bytes.writeUInt16LE(0x3f80, bytes.length - 2);
    writeFileSync(join(folder, "model.safetensors"), bytes);
    const [many, one] = [await json([folder, "--stats"]), await json([folder, "--stats", "--threads", "0"])];
    expect(many).toEqual(one);
    if (many.view !== "stats") throw new Error("no stats");
    expect(many.stats.map(({ values, zeros, max }) => [values, zeros, max])).toEqual([
      [8 * 2 ** 20, 8 * 2 ** 20, 0],
      [32 * 2 ** 20, 32 * 2 ** 20 - 1, 1],
    ]);
  });
});

describe("headers alone", () => {
  it("are enough for a checkpoint of 61 GB", async () => {
    const view = await json([sparseCheckpoint("31B", "target", "bf16")]);
    if (view.view !== "summary") throw new Error("no summary");
    expect(view.checkpoint.bytes).toBeGreaterThan(60e9);
    expect(view.findings).toBe(0);
  });

  it("need no native addon", async () => {
    const root = temporaryFolder();
    for (const name of ["bin", "dist", "models", "package.json"])
      cpSync(join(ROOT, name), join(root, name), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
    const { spawnSync } = await import("node:child_process");
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [join(root, "bin/mlx-gemma.js"), ...args], { encoding: "utf8" });
    expect(run("inspect-weights", "--check").status).toBe(0);
    // Negative control: what does need it says so.
    expect(run("generate", "-n", "1", "x").status).toBe(7);
  });
});

describe("mistakes", () => {
  it.each<[string, string[], number, RegExp]>([
    [
      "a pattern that fits nothing",
      ["--tensors", TARGET],
      2,
      /--tensors: expected a pattern .* the checkpoint goes before the option/,
    ],
    [
      "two views",
      ["--tree", "--check"],
      2,
      /option '--(tree|check)' cannot be used with option '--(tree|check)'/,
    ],
    [
      "a folder that is not there",
      ["./nowhere"],
      3,
      /nowhere: expected the folder of a checkpoint, found nothing there/,
    ],
    [
      "an assistant before its target",
      [ASSISTANT, "--pair", TARGET],
      2,
      /--pair: expected a target and its assistant/,
    ],
    ["a bandwidth of nothing", ["--bandwidth", "0"], 2, /--bandwidth: expected a number above 0/],
    ["a typo", ["--tensor"], 2, /Did you mean --tensors\?.*mlx-gemma inspect-weights --help/],
  ])("%s is one line", async (_, args, expected, message) => {
    const { code, stdout, stderr } = await inspect(args);
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^mlx-gemma: [^\n]+\n$/);
  });

  it("names in a hostile file move no cursor", async () => {
    const folder = temporaryFolder();
    const name = "a\u001b[2J\u009b31m\nb";
    writeFileSync(join(folder, "model.safetensors"), safetensors({ [name]: { dtype: "F32", shape: [1] } }));
    for (const view of ["--tensors", "--tree", "--stats", "--check"]) {
      const { stdout, stderr } = await inspect([folder, view]);
      expect((stdout + stderr).replaceAll("\n", "")).not.toMatch(/\p{C}/u);
    }
    const { stdout } = await inspect([folder, "--tensors"]);
    expect(stdout).toContain("a\\u{1b}[2J\\u{9b}31m\\u{a}b");
  });

  it("--help names exit codes, groups and examples", async () => {
    const { code, stdout } = await inspect(["--help"]);
    expect(code).toBe(0);
    for (const part of ["What is shown", "Output:", "Examples:", "Exit codes:"])
      expect(stdout).toContain(part);
  });
});

describe("streams and signals", () => {
  it("a reader that has seen enough ends it quietly", async () => {
    const { code, stderr } = await inspect(["--tree"], { closeStdout: true });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  it("colours only where they are asked for", async () => {
    expect((await inspect(["--tree", "--color", "always"])).stdout).toMatch(STYLE);
    expect((await inspect(["--tree"], { env: { FORCE_COLOR: "1" } })).stdout).toMatch(STYLE);
    expect((await inspect(["--tree"], { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })).stdout).not.toMatch(
      STYLE,
    );
  });
});

describe.skipIf(NO_TERMINAL)(`on a terminal${NO_TERMINAL ? ` (${NO_TERMINAL})` : ""}`, () => {
  it.each([40, 80, 100])("tables keep within %d columns, names cut in the middle", async (columns) => {
    for (const args of [[], ["--tensors"], ["--stats"], ["--tree"], ["--pair", "assistant"]]) {
      const { text, code } = await mlxGemmaOnTerminal(["inspect-weights", ...args, "-q"], { columns });
      expect(code).toBe(0);
      const lines = text.split("\n").filter((line) => !line.includes(EMBEDDED.slice(0, 10)));
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
      if (args[0] === "--tensors" && columns === 80)
        expect(text).toMatch(/^model\.lay\S*…\S*norm\.weight {2}\[256\]/m);
    }
  });

  it("Ctrl-C ends the reading with 130", async () => {
    const folder = sparseCheckpoint("31B", "target", "bf16");
    const { code, text } = await mlxGemmaOnTerminal(["inspect-weights", folder, "--stats"], {
      keys: [{ after: "reading weights", send: "\u0003" }],
    });
    expect(code).toBe(130);
    expect(text).not.toContain("embed_tokens");
  });
});

describe("a repository of the hub", () => {
  const fix = hubFixture();
  const NAME = "google/gemma-4-tiny";
  const files = () =>
    Object.fromEntries(readdirSync(TARGET).map((name) => [name, readFileSync(join(TARGET, name))]));

  it("is read by ranges, and nothing is stored", async () => {
    const commit = fix.hub.add(NAME, files());
    const view = await json([NAME], { env: fix.env });
    expect(view.checkpoint).toMatchObject({ name: NAME, folder: null, commit });
    const ranges = fix.hub
      .downloadsOf("model.safetensors")
      .filter(({ host }) => host === "storage")
      .map(({ headers }) => headers.range);
    expect(ranges).toEqual(["bytes=0-131071"]);
    expect(fix.hub.seen.some(({ path }) => path.endsWith("tokenizer.json"))).toBe(false);
    expect(readdirSync(fix.cache)).toEqual([]);
    expect(await json([TARGET])).toEqual({ ...view, checkpoint: expect.anything() });
  });

  it("is compared with a folder, and checked by its headers and its token_ordering", async () => {
    fix.hub.add(NAME, files());
    const ordering = Object.fromEntries(
      readdirSync(ASSISTANT).map((name) => [name, readFileSync(join(ASSISTANT, name))]),
    );
    fix.hub.add(`${NAME}-assistant`, ordering);
    const same = await inspect([NAME, "--diff", TARGET], { env: fix.env });
    expect(same.stdout).toMatch(/160 tensors: 160 of the same shape and dtype\n$/);
    const check = await inspect([`${NAME}-assistant`, "--check"], { env: fix.env });
    expect(check.code).toBe(0);
    expect(check.stderr).toMatch(/the values were not read/);
    for (const which of [`${NAME}-assistant`, "assistant"]) {
      const pair = await inspect([NAME, "--pair", which], { env: fix.env });
      expect(pair.code).toBe(0);
      expect(pair.stdout).toContain(`assistant  ${NAME}-assistant\n`);
      expect(pair.stderr).toMatch(/the tokenizers were not compared: that would download them/);
    }
    fix.hub.repos.delete(`${NAME}-assistant`);
    const none = await inspect([NAME, "--pair", "assistant"], { env: fix.env });
    expect(none.code).toBe(9);
    expect(none.stderr).toMatch(
      /expected its assistant on the hub as google\/gemma-4-tiny-assistant, found none/,
    );
  });

  it("goes on where a connection breaks, and tells a server without ranges", async () => {
    fix.hub.add(NAME, files());
    let cuts = 1;
    fix.hub.storage = (_, response) => {
      if (cuts-- <= 0) return false;
      response.writeHead(206, { "content-range": "bytes 0-131071/22885516", "content-length": "131072" });
      response.write(Buffer.alloc(100), () => setTimeout(() => response.destroy(), 5));
      return true;
    };
    expect((await inspect([NAME, "-q"], { env: fix.env })).code).toBe(0);
    fix.hub.storage = (_, response) => {
      response
        .writeHead(206, { "content-range": "bytes 5-131076/22885516", "content-length": "131072" })
        .end(Buffer.alloc(131_072));
      return true;
    };
    const { code, stderr } = await inspect([NAME], { env: fix.env });
    expect(code).toBe(9);
    expect(stderr).toMatch(/expected the bytes from 0 on from .*, found bytes 5-131076/);
  });

  it("needs a download for its values, and a network without one in the cache", async () => {
    fix.hub.add(NAME, files());
    const stats = await inspect([NAME, "--stats"], { env: fix.env });
    expect(stats.code).toBe(2);
    expect(stats.stderr).toMatch(/expected a checkpoint on this machine, since --stats reads all weights/);
    expect((await inspect([NAME, "--offline"], { env: fix.env })).code).toBe(9);
    expect((await inspect(["org/none"], { env: fix.env })).code).toBe(9);
  });

  it("is taken from the cache where that has it whole", async () => {
    layOut(fix.cache, NAME, files());
    const { stdout } = await inspect([NAME], { env: fix.env });
    expect(fix.hub.seen).toEqual([]);
    expect(stdout).toContain(`${NAME}\n`);
  });
});
