import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MlxGemmaError } from "../../src/errors.js";
import { addon, cureOf, loadAddon } from "../../src/mlx/addon.js";

const BUILT = fileURLToPath(new URL("../../build/Release/mlx_gemma.node", import.meta.url));

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlx-gemma-addon-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function failure(file: string, version: string): MlxGemmaError {
  try {
    loadAddon(file, version);
  } catch (error) {
    if (error instanceof MlxGemmaError) return error;
  }
  throw new Error("expected an MlxGemmaError");
}

function expectOneLine(error: MlxGemmaError, cause: RegExp): void {
  expect(error.code).toBe("addon");
  expect(error.message).toMatch(cause);
  expect(error.message).toMatch(/run: npm run build$/);
  expect(error.message).not.toContain("\n");
}

describe("the addon", () => {
  it("is of the package's version, and says what it runs on", () => {
    const { version } = createRequire(import.meta.url)("../../package.json");
    expect(addon().version).toBe(version);
    expect(addon().mlxVersion).toMatch(/^\d+\.\d+/);
    expect(["cpu", "gpu"]).toContain(addon().device());
    expect(["amx", "avx512", "avx2", "neon", "scalar", "mlx"]).toContain(addon().kernels());
  });

  it("that is missing is one line with the loader's cause", () => {
    expectOneLine(failure(join(folder, "none.node"), "1.0.0"), /none\.node/);
  });

  it("that can't be loaded is one line with the loader's cause", () => {
    const file = join(folder, "broken.node");
    writeFileSync(file, "not a library");
    expectOneLine(failure(file, "1.0.0"), /broken\.node/);
  });

  it("without libmlx beside it says which library it wants", () => {
    const file = join(folder, "mlx_gemma.node");
    copyFileSync(BUILT, file);
    // In a process of its own: here libmlx is loaded already.
    const script = `try { process.dlopen({ exports: {} }, ${JSON.stringify(file)}) } catch (e) { console.log(e.message) }`;
    expect(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" })).toContain("libmlx");
  });

  it.each([
    ["libcuda.so.1: cannot open shared object file", /^install NVIDIA's driver, /],
    ["it was built for CUDA, and no NVIDIA GPU with a driver was found", /^install NVIDIA's driver, /],
    ["libcudnn.so.9: cannot open shared object file", /^put NVIDIA's libraries beside MLX \(docs\/setup\.md/],
    ["libmlx.so: cannot open shared object file", /^run: npm run build$/],
  ])("says what to do: %s", (cause, cure) => {
    expect(cureOf(cause)).toMatch(cure);
  });

  it("of another version is stale", () => {
    expectOneLine(failure(BUILT, "999.0.0"), new RegExp(`stale.*${addon().version}.*999\\.0\\.0`));
  });
});
