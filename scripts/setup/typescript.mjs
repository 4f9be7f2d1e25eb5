// Compiles src/ into dist/, and bundles the command. In an installed package dist/ is there and src/ isn't: then there is nothing to do.
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
  await bundle(work);
  await replaceFolder(work, join(root, "dist"));
}

/**
 * Start-up is mostly loading files, so that the command is bundled: dist/bundle/ has main.js, the worker, and chunks for
 * what is loaded when it is needed. Of zod only what is used is taken, without its texts in other languages; the library
 * gets it so, too.
 */
async function bundle(dist) {
  const { build } = await import("esbuild").catch(() => {
    throw new Lack("esbuild is not installed", "npm ci --include=dev");
  });
  const common = { bundle: true, format: "esm", platform: "node", target: "node20", logLevel: "error" };
  const zod = join(dist, "zod.js");
  await build({ ...common, entryPoints: [zod], outfile: zod, allowOverwrite: true });
  await build({
    ...common,
    entryPoints: ["cli/main.js", "inspect/values/worker.js"].map((path) => join(dist, path)),
    outdir: join(dist, "bundle"),
    // Two folders below the package, as most modules are: what they find from import.meta.url is where it was.
    entryNames: "[name]",
    splitting: true,
    packages: "external",
  });
}

function findCompiler() {
  try {
    return createRequire(import.meta.url).resolve("typescript/bin/tsc");
  } catch {
    throw new Lack("the TypeScript compiler is not installed", "npm ci --include=dev");
  }
}
