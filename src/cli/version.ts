import { readFileSync } from "node:fs";

const PACKAGE = new URL("../../", import.meta.url);

/** `--version`: of this package, of the MLX that it is built with, and of the checkpoints that it reads. */
export function versionText(): string {
  const { version }: { version?: unknown } = JSON.parse(readText("package.json") ?? "{}");
  return [
    `mlx-gemma ${version}`,
    `MLX ${mlxVersion() ?? "is not built in yet; run: npm run build"}`,
    "checkpoints: Gemma 4 in safetensors, as transformers 5 writes them, and MLX's quantized form of them",
  ].join("\n");
}

/** From the name of the wheel that libmlx came from: to load it would take longer than everything else. */
function mlxVersion(): string | undefined {
  const [, name, version] = /^(mlx\w*)-([\d.]+)-/.exec(readText("build/Release/mlx/.wheel") ?? "") ?? [];
  return version && `${version} (${name})`;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(new URL(path, PACKAGE), "utf8");
  } catch {
    return undefined;
  }
}
