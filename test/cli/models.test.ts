import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { JSON_SCHEMAS } from "../../src/cli/json-schemas.js";
import { FILES, layOut } from "../checkpoint/hub/cache-fixture.js";
import { mlxGemma, mlxGemmaOnTerminal, NO_TERMINAL, readJson, STYLE } from "./helpers.js";
import { hubFixture } from "./hub-fixture.js";

const fix = hubFixture();
const models = (...args: string[]) => mlxGemma(["models", ...args], { env: fix.env });
const config = (value: object): Record<string, string> => ({
  ...FILES,
  "config.json": JSON.stringify(value),
});

const TARGET = "google/gemma-4-E2B-it";
const QUANTIZED = "mlx-community/gemma-4-e2b-it-4bit";

function fillCache(): void {
  layOut(fix.cache, TARGET, config({ model_type: "gemma4", dtype: "bfloat16" }));
  layOut(fix.cache, QUANTIZED, config({ model_type: "gemma4", quantization: { bits: 4, group_size: 64 } }));
  layOut(
    fix.cache,
    `${TARGET}-assistant`,
    config({ model_type: "gemma4_assistant", torch_dtype: "bfloat16" }),
  );
  layOut(fix.cache, "meta/llama", config({ model_type: "llama" }));
  layOut(fix.cache, "org/broken", { ...FILES, "config.json": "{" });
  const { "model.safetensors": _, ...rest } = config({ model_type: "gemma4_unified" });
  layOut(fix.cache, "org/cut", rest, { ref: "dev" });
}

describe("models", () => {
  it("--json tells what is there, with each target's assistant, and what is published", async () => {
    fillCache();
    const { code, stdout, stderr } = await models("--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { cache, cached, embedded, known } = readJson(JSON_SCHEMAS.models, stdout);
    expect(cache).toBe(fix.cache);
    const brief = cached.map(({ id, kind, format, assistant }) => [id, kind, format, assistant]);
    expect(brief).toEqual([
      [TARGET, "target", "bfloat16", `${TARGET}-assistant`],
      [`${TARGET}-assistant`, "assistant", "bfloat16", null],
      [QUANTIZED, "target", "4 bit", `${TARGET}-assistant`],
      ["org/cut", "target", null, null],
    ]);
    expect(cached[3]).toMatchObject({
      revisions: ["dev"],
      missing: ["model.safetensors"],
      modelType: "gemma4_unified",
    });
    expect(embedded.map(({ kind, bytes }) => [kind, bytes > 100_000])).toEqual([
      ["target", true],
      ["assistant", true],
    ]);
    expect(known).toHaveLength(5);
    expect(known[0]).toMatchObject({
      target: TARGET,
      assistant: `${TARGET}-assistant`,
      bytes: { bf16: 9_257_138_758 },
    });
  });

  it("shows the same in tables", async () => {
    fillCache();
    const { code, stdout } = await models();
    expect(code).toBe(0);
    expect(stdout).toContain(`In the cache, ${fix.cache}\n`);
    expect(stdout).toMatch(
      /google\/gemma-4-E2B-it +main +\d+ B +target +bfloat16 +assistant: google\/gemma-4-E2B-it-assistant\n/,
    );
    expect(stdout).toMatch(
      /mlx-community\/gemma-4-e2b-it-4bit +main +\d+ B +target +4 bit +assistant: google/,
    );
    expect(stdout).toMatch(
      /org\/cut +dev +\d+ B +target +incomplete \(model\.safetensors\): pull it again\n/,
    );
    expect(stdout).not.toMatch(/llama|broken/);
    expect(stdout).toMatch(/google\/gemma-4-31B-it +30\.7 B +61\.4 GB \/ 17\.3 GB/);
    expect(stdout).not.toMatch(STYLE);
  });

  it("says what to do with an empty cache", async () => {
    const { code, stdout } = await models();
    expect(code).toBe(0);
    expect(stdout).toContain("no Gemma 4; mlx-gemma pull google/gemma-4-E2B-it --draft assistant brings one");
  });

  it("of a hostile config prints no control characters", async () => {
    layOut(
      fix.cache,
      "org/evil",
      config({
        model_type: "gemma4",
        dtype: "\u001b[2J",
        quantization: { mode: "\u001b[2J", bits: "\u0007" },
      }),
    );
    const { stdout } = await models();
    expect(stdout).toMatch(/org\/evil .* quantized/);
    expect(stdout).not.toContain("\u001b[2J");
  });
});

describe("models rm", () => {
  const folder = () => join(fix.cache, "models--google--gemma-4-E2B-it");

  it("without a terminal refuses to ask", async () => {
    fillCache();
    const { code, stdout, stderr } = await models("rm", TARGET);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(
      /^mlx-gemma: google\/gemma-4-E2B-it: expected --yes, as there is no terminal to ask on; nothing was removed\n$/,
    );
    expect(existsSync(folder())).toBe(true);
  });

  it("--yes removes it, and nothing else", async () => {
    fillCache();
    const before = readdirSync(fix.cache);
    const { code, stderr } = await models("rm", TARGET, "--yes");
    expect(code).toBe(0);
    expect(stderr).toMatch(/^mlx-gemma: removed google\/gemma-4-E2B-it \(\d+ B\)\n$/);
    expect(readdirSync(fix.cache)).toEqual(
      before.filter((name) => name !== "models--google--gemma-4-E2B-it"),
    );
  });

  it("--json tells it instead", async () => {
    fillCache();
    const { code, stdout, stderr } = await models("rm", `${TARGET}@main`, "--yes", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { bytes, ...told } = readJson(JSON_SCHEMAS["models rm"], stdout);
    expect(told).toEqual({ id: TARGET, revision: "main", removed: true });
    expect(bytes).toBeGreaterThan(0);
  });

  it("of a revision keeps what the others use", async () => {
    layOut(fix.cache, TARGET, FILES);
    layOut(fix.cache, TARGET, { ...FILES, "config.json": "{}" }, { commit: "a".repeat(40), ref: "dev" });
    const { code } = await models("rm", `${TARGET}@dev`, "-y");
    expect(code).toBe(0);
    expect(readdirSync(join(folder(), "snapshots"))).toHaveLength(1);
    expect(readdirSync(join(folder(), "refs"))).toEqual(["main"]);
    expect(readdirSync(join(folder(), "blobs"))).toHaveLength(Object.keys(FILES).length);
  });

  it("tells what is not there", async () => {
    for (const name of ["org/none", `${TARGET}@v9`]) {
      const { code, stderr } = await models("rm", name, "-y");
      expect(code).toBe(9);
      expect(stderr).toMatch(
        /: expected it in the cache \(.*\), found nothing; mlx-gemma models lists what there is\n$/,
      );
    }
  });

  it("leaves alone what is being downloaded", async () => {
    fillCache();
    const locks = join(fix.cache, ".locks", "models--google--gemma-4-E2B-it");
    mkdirSync(locks, { recursive: true });
    writeFileSync(join(locks, "abc.mlx-gemma.lock"), JSON.stringify({ pid: 1, machine: "another", id: "x" }));
    const { code, stderr } = await models("rm", TARGET, "-y");
    expect(code).toBe(9);
    expect(stderr).toMatch(/it is being downloaded; end that first\n$/);
    expect(existsSync(folder())).toBe(true);
  });
});

describe.skipIf(NO_TERMINAL)(`models rm on a terminal${NO_TERMINAL ? ` (${NO_TERMINAL})` : ""}`, () => {
  it.each<[string, string, number, boolean]>([
    ["y", "y\n", 0, false],
    ["yes", "YES\n", 0, false],
    ["n", "n\n", 0, true],
    ["nothing", "\n", 0, true],
    ["the end of the input", "\u0004", 0, true],
    ["Ctrl-C", "\u0003", 130, true],
  ])("asks, and takes %s", async (_, send, code, stays) => {
    fillCache();
    const screen = await mlxGemmaOnTerminal(["models", "rm", TARGET], {
      env: fix.env,
      keys: [{ after: "[y/N]", send }],
    });
    expect(screen.text).toMatch(/Remove google\/gemma-4-E2B-it \(\d+ B\) from the cache\?/);
    expect(screen.code).toBe(code);
    expect(existsSync(join(fix.cache, "models--google--gemma-4-E2B-it"))).toBe(stays);
  });

  it.each([40, 72, 120])("models fits %d columns", async (columns) => {
    fillCache();
    const { text } = await mlxGemmaOnTerminal(["models"], { env: fix.env, columns });
    const lines = text.split("\n").filter((line) => !line.includes(fix.cache));
    if (columns > 60) for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    expect(text).toContain(TARGET);
  });
});
