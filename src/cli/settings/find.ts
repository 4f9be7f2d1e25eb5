import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

export const CONFIG_NAME = "mlx-gemma.json";

/**
 * The file with settings: the one that MLX_GEMMA_CONFIG names (`none`: no file), else the nearest mlx-gemma.json, from a
 * folder upwards.
 */
export function findConfigFile(
  folder: string,
  { MLX_GEMMA_CONFIG: named }: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (named) return named === "none" ? undefined : resolve(folder, named);
  const path = join(folder, CONFIG_NAME);
  if (existsSync(path)) return path;
  const above = dirname(folder);
  return above === folder ? undefined : findConfigFile(above, {});
}
