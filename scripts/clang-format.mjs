#!/usr/bin/env node
// Checks the format of native/**/*.{h,cpp}, or mends it with --write. The formatter is the pinned npm package's own
// binary: another version of clang-format would format otherwise, so none from PATH is taken.
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./setup/run.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const write = process.argv.includes("--write");

// The package ships x64 binaries; on Apple silicon macOS runs that one by Rosetta.
const BINARIES = { "linux-x64": "linux_x64", "darwin-x64": "darwin_x64", "darwin-arm64": "darwin_x64" };

async function main() {
  const files = sources(join(root, "native"));
  const folder = BINARIES[`${process.platform}-${process.arch}`];
  if (!folder) {
    console.log(
      `clang-format: skipped, its npm package has no binary for ${process.platform} ${process.arch}`,
    );
    return 0;
  }
  if (files.length === 0) return 0;
  const manifest = createRequire(import.meta.url).resolve("clang-format/package.json");
  const binary = join(dirname(manifest), "bin", folder, "clang-format");
  const mode = write ? ["-i"] : ["--dry-run", "--Werror", "--ferror-limit=1"];
  const { code, lines } = await run(binary, ["--style=file", ...mode, ...files], { cwd: root });
  if (code === 0) {
    console.log(`clang-format: ${files.length} files ${write ? "formatted" : "are as they should be"}`);
    return 0;
  }
  const wrong = new Set(lines.map((line) => line.match(/^(.*?):\d+:\d+: error:/)?.[1]).filter(Boolean));
  for (const file of wrong) console.error(`clang-format: ${relative(root, file)} is not formatted`);
  if (wrong.size === 0) console.error(lines.join("\n"));
  console.error("clang-format: to mend it: npm run format");
  return 1;
}

function sources(folder) {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && /\.(h|cpp)$/.test(entry.name));
  return files.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
}

process.exitCode = await main();
