// Vitest's global set-up: tests that use the built package must not meet an old one.
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));

export default function buildDist(): void {
  const sources = times("src", /\.ts$/);
  const built = times("dist", /\.js$/);
  if (built.length >= sources.length && Math.min(...built) > Math.max(...sources)) return;
  // Under `npx vitest` the set-up would take itself for npx's own and build nothing.
  const { npm_command: _, ...env } = process.env;
  const { status } = spawnSync(process.execPath, ["scripts/install.mjs", "--ts-only"], {
    cwd: root,
    env,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error("dist/ can't be built: see above");
}

function times(folder: string, name: RegExp): number[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => name.test(path))
      .map((path) => statSync(join(root, folder, path)).mtimeMs);
  } catch {
    return [];
  }
}
