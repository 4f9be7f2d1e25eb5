import { readFileSync } from "node:fs";

const PACKAGE = new URL("../../", import.meta.url);

/** Name and hash of the wheel that libmlx came from. */
export const WHEEL = new URL("build/Release/mlx/.wheel", PACKAGE);

/** `--version`: of this package, of the MLX that it is built with, and of the checkpoints that it reads. */
export function versionText(): string {
  const { version }: { version?: unknown } = JSON.parse(readText(new URL("package.json", PACKAGE)) ?? "{}");
  return [
    `mlx-gemma ${version}`,
    `MLX ${mlxVersion() ?? "is not built in yet; run: npm run build"}`,
    "checkpoints: Gemma 4 in safetensors, as transformers 5 writes them, and MLX's quantized form of them",
  ].join("\n");
}

/** From the name of the wheel that libmlx came from: to load it would take longer than everything else. */
function mlxVersion(): string | undefined {
  const [, name, version] = /^(mlx\w*)-([\d.]+)-/.exec(readText(WHEEL) ?? "") ?? [];
  return version && `${version} (${name})`;
}

function readText(file: URL): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
