#!/usr/bin/env node
// Builds the C++ tests (CMake option MLX_GEMMA_TESTS) in build/tests and runs each of them.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cmake } from "./setup/native.mjs";
import { run } from "./setup/run.mjs";
import { Lack, sayLack } from "./setup/tell.mjs";

const TESTS = ["kernels_test"];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, "build", "tests");
const mlx = join(root, "build", "Release", "mlx");

async function main() {
  if (!existsSync(mlx)) throw new Lack("MLX is not in build/Release", "npm run build");
  for (const test of TESTS) {
    await cmake(root, out, { MLX_ROOT: mlx, MLX_GEMMA_TESTS: "ON" }, test, test);
    const binary = [join(out, test), join(out, "Release", test)].find(existsSync);
    if (!binary)
      throw new Lack(`CMake built no ${test} in build/tests`, "look at CMakeLists.txt, MLX_GEMMA_TESTS");
    const { code } = await run(binary, process.argv.slice(2), {
      cwd: root,
      onLine: (line) => console.log(line),
    });
    if (code !== 0) process.exitCode = 1;
  }
}

main().catch((error) => {
  if (!(error instanceof Lack)) throw error;
  sayLack(error);
  process.exitCode = 1;
});
