import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { JSON_SCHEMAS } from "../../src/cli/json-schemas.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { bigTarget, EMBEDDING_BYTES } from "../quantize/big.js";
import { EMBEDDED, mlxGemma, ROOT, readJson } from "./helpers.js";

const ASSISTANT = `${EMBEDDED}/assistant`;
const GROUPS = ["--group-size", "32"];

let big: string;
beforeAll(() => {
  big = bigTarget();
});

const place = () => join(temporaryFolder(), "out");

describe("mlx-gemma quantize", () => {
  it("writes a folder that generate takes, and tells bits per weight and the change of the logits", async () => {
    const output = place();
    const { code, stdout, stderr } = await mlxGemma(["quantize", "--bits", "8", ...GROUPS, "-o", output]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      /^wrote .*\/out\n12\.9 MB, 1\.78 times smaller; 9\.009 bits per weight \(before: 16\.000\)\n83 weights in 8 bits, groups of 32, affine\nlogits at 64 positions: KL [\d.e-]+ nats, largest difference [\d.]+, the same first choice at [\d.]+%\n$/,
    );
    const answer = await mlxGemma(["generate", "-m", output, "--prompt-ids", "2,5,7", "-n", "4", "--json"]);
    expect(JSON.parse(answer.stdout).tokenIds).toHaveLength(4);
  });

  it("--json, with the change of an assistant's drafts", async () => {
    const args = [
      "-m",
      ASSISTANT,
      ...GROUPS,
      "--quantize-embedding",
      "--target",
      `${EMBEDDED}/target`,
      "--json",
    ];
    const { code, stdout } = await mlxGemma(["quantize", ...args, "-o", place()]);
    expect(code).toBe(0);
    const { change, ...result } = readJson(JSON_SCHEMAS.quantize, stdout);
    expect(result).toMatchObject({
      kind: "assistant",
      bitsPerWeightBefore: 16,
      modules: { "4 bits, groups of 32, affine": 23 },
    });
    expect(change?.positions).toBe(60);
    expect(change?.kl).toBeGreaterThan(0);
    expect(change?.kl).toBeLessThan(0.2);
    expect(change?.topAgreement).toBeGreaterThan(0.5);
    expect(change?.shared).toBeGreaterThan(0.5);
  });

  it("says what keeps its floats, unless it is quiet", async () => {
    const loud = await mlxGemma(["quantize", "-m", ASSISTANT, "-o", place()]);
    expect(loud.stderr).toMatch(/note: 13 of the weights keep their floats, as groups of 64 do not divide/);
    expect(loud.stderr).toMatch(/note: embed_tokens keeps its floats: mlx-vlm reads/);
    expect(loud.stderr).toMatch(
      /note: the drafts are not compared: give the assistant's target with --target/,
    );
    const quiet = await mlxGemma(["quantize", "-m", ASSISTANT, "-q", "-o", place()]);
    expect(quiet.stderr).toBe("");
  });

  it.each<[string[], RegExp]>([
    [[], /required option '-o, --output <folder>' not specified; see mlx-gemma quantize --help/],
    [["-o", "x", "--bits", "7"], /--bits: expected 2, 3, 4, 5, 6, 8, found "7"/],
    [["-o", "x", "--bits", "four"], /--bits: expected a whole number/],
    [["-o", "x", "--group-size", "48"], /--group-size: expected 32, 64, 128, found "48"/],
    [["-o", "x", "--mode", "gguf"], /--mode: expected affine, mxfp4, mxfp8 or nvfp4, found "gguf"/],
    [["-o", "x", "--mixed", "mixed_9_9"], /--mixed: expected mixed_2_6/],
    [
      ["-o", "x", "--mixed", "mixed_4_6", "--bits", "4"],
      /'--mixed <recipe>' cannot be used with option '--bits <n>'/,
    ],
    [["-o", "x", "--dtype", "int8"], /--dtype: expected bf16, f16 or f32, found "int8"/],
    [["-o", ""], /the output: expected a new or empty folder for the output, found an empty path/],
    [["-m", "", "-o", "x"], /expected the folder or name of a checkpoint, found an empty text/],
    [["-o", "README.md"], /README.md: expected a new or empty folder for the output, found a file/],
    [
      ["-o", "src"],
      /src: expected a new or empty folder for the output, found a folder with \d+ files in it/,
    ],
  ])("%j is refused", async (args, line) => {
    const full = args.map((arg) => (arg === "README.md" || arg === "src" ? `${ROOT}${arg}` : arg));
    const { code, stdout, stderr } = await mlxGemma(["quantize", ...full]);
    expect(stderr).toMatch(/^mlx-gemma: [^\n]+\n$/);
    expect(stderr).toMatch(line);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});

it.each([".", "..", "../here"])(
  "the current folder is refused as -o, as are those above it: %s",
  async (output) => {
    const parent = temporaryFolder();
    const cwd = join(parent, "here");
    mkdirSync(cwd);
    const { code, stderr } = await mlxGemma(["quantize", "-m", ASSISTANT, "--no-check", "-o", output], {
      cwd,
    });
    expect(stderr).toMatch(
      /^mlx-gemma: \S+: expected .*, found the current folder, or one above it; give [^\n]*\n$/,
    );
    expect({ code, left: readdirSync(parent, { recursive: true }) }).toEqual({ code: 2, left: ["here"] });
  },
);

describe("a signal in the middle", () => {
  /** Ends a run once its file is there. */
  async function ended(
    signal: NodeJS.Signals,
  ): Promise<{ readonly code: number | null; readonly left: string[] }> {
    const parent = temporaryFolder();
    const child = spawn(
      process.execPath,
      [`${ROOT}bin/mlx-gemma.js`, "quantize", "-m", big, "--no-check", "-o", join(parent, "out")],
      {
        stdio: "ignore",
      },
    );
    const writes = () =>
      readdirSync(parent).some(
        (name) => name.startsWith(".out") && existsSync(join(parent, name, "model.safetensors")),
      );
    while (child.exitCode === null && !writes()) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill(signal);
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    return { code, left: readdirSync(parent) };
  }

  it("Ctrl-C leaves nothing", async () => {
    expect(await ended("SIGINT")).toEqual({ code: 130, left: [] });
  });

  it("SIGTERM leaves nothing", async () => {
    expect(await ended("SIGTERM")).toEqual({ code: 143, left: [] });
  });

  it("SIGKILL leaves nothing of the final name", async () => {
    const { code, left } = await ended("SIGKILL");
    expect(code).toBe(null);
    expect(left).toHaveLength(1);
    expect(left).not.toContain("out");
  });
});

it.skipIf(process.platform !== "linux")(
  "memory is bounded by a few blocks, not by the largest tensor",
  async () => {
    const peak = async (model: string) => {
      const file = join(temporaryFolder(), "peak");
      const code = `
      process.argv.splice(1, 1, "quantize", "-q", "--no-check", "-m", ${JSON.stringify(model)}, "-o", ${JSON.stringify(place())});
      const { writeFileSync, readFileSync } = await import("node:fs");
      process.on("exit", () => writeFileSync(${JSON.stringify(file)}, readFileSync("/proc/self/status", "utf8")));
      await import(${JSON.stringify(`${ROOT}dist/cli/main.js`)});`;
      const child = spawn(process.execPath, ["--input-type=module", "-e", code, "x"], {
        stdio: ["ignore", "ignore", "inherit"],
      });
      expect(await new Promise((resolve) => child.on("close", resolve))).toBe(0);
      return Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync(file, "utf8"))?.[1]) * 1024;
    };
    const small = await peak(`${EMBEDDED}/target`);
    const large = await peak(big);
    // Beyond the program itself: a block as bytes, as an array and packed, and what is not collected yet.
    expect(large - small).toBeLessThan(EMBEDDING_BYTES / 2);
  },
);
