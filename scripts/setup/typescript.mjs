// Compiles src/ into dist/, zod bundled. In an installed package dist/ is there and src/ isn't: then there is nothing to do.
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { replaceFolder, run, temporary } from "./run.mjs";
import { Lack, say } from "./tell.mjs";

export async function buildTypescript(root) {
  if (!existsSync(join(root, "src"))) return;
  const tsc = findCompiler();
  say("compiling TypeScript");
  // Into a new folder, so that files of deleted sources don't linger and no half-written file is ever seen.
  const work = temporary(join(root, "build", "dist"));
  await rm(work, { recursive: true, force: true });
  const args = [tsc, "-p", "tsconfig.build.json", "--outDir", work, "--noEmitOnError"];
  const { code, lines } = await run(process.execPath, args, { cwd: root });
  if (code !== 0) {
    await rm(work, { recursive: true, force: true });
    throw new Lack(
      `TypeScript found errors (${lines[0] ?? code})`,
      "mend them, then npm run build",
      lines.slice(0, 20),
    );
  }
  await bundleZod(join(work, "zod.js"));
  await replaceFolder(work, join(root, "dist"));
}

/** Puts what is used of zod into the file itself, without its texts in other languages: they take long to load. */
async function bundleZod(file) {
  const { build } = await import("esbuild").catch(() => {
    throw new Lack("esbuild is not installed", "npm ci --include=dev");
  });
  await build({
    entryPoints: [file],
    outfile: file,
    allowOverwrite: true,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "error",
  });
}

function findCompiler() {
  try {
    return createRequire(import.meta.url).resolve("typescript/bin/tsc");
  } catch {
    throw new Lack("the TypeScript compiler is not installed", "npm ci --include=dev");
  }
}
