// What `npm run test:native` and `npm run test:sanitizers` have in common: C++ tests are built against the MLX of the product.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cmake } from "./setup/native.mjs";
import { Lack } from "./setup/tell.mjs";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Builds one C++ test (CMake option MLX_GEMMA_TESTS) and keeps what is compiled, for the next time.
 *
 * @param folder of its own for each set of definitions, in build/
 * @returns the program
 */
export async function buildCppTest(test, folder, definitions = {}) {
  const mlx = join(root, "build", "Release", "mlx");
  if (!existsSync(mlx)) throw new Lack("MLX is not in build/Release", "npm run build");
  const out = join(root, "build", folder);
  await cmake(root, out, { MLX_ROOT: mlx, MLX_GEMMA_TESTS: "ON", ...definitions }, test, test);
  const binary = [join(out, test), join(out, "Release", test)].find(existsSync);
  if (!binary)
    throw new Lack(`CMake built no ${test} in build/${folder}`, "look at CMakeLists.txt, MLX_GEMMA_TESTS");
  return binary;
}
