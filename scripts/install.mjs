#!/usr/bin/env node
// `npm ci` and `npm run build` both run this: MLX's wheel → build/Release, the addon, dist/. It can be run again at any
// time: every step looks at what is there, mends what is half done, and puts only finished files under final names.
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { wheelFor } from "./mlx-wheels.mjs";
import { fetchWheel } from "./setup/fetch-wheel.mjs";
import { withLock } from "./setup/lock.mjs";
import { buildAddon } from "./setup/native.mjs";
import { missingPrerequisites, thisMachine } from "./setup/prerequisites.mjs";
import { sweep } from "./setup/run.mjs";
import { Lack, say, sayLack } from "./setup/tell.mjs";
import { buildTypescript } from "./setup/typescript.mjs";
import { unpackWheel } from "./setup/unpack-wheel.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const nativeOnly = process.argv.includes("--native-only");
const typescriptOnly = process.argv.includes("--ts-only");

async function main() {
  if (isLinkingByNpx()) return;
  if (typescriptOnly) return withLock(root, () => buildTypescript(root));
  const wheel = wheelFor(thisMachine());
  const lacks = missingPrerequisites();
  if (lacks.length > 0) {
    for (const lack of lacks) sayLack(lack);
    process.exitCode = 1;
    return;
  }
  const started = Date.now();
  await withLock(root, async () => {
    await Promise.all(["build", "build/Release", "."].map((folder) => sweep(join(root, folder))));
    const mlx = await unpackWheel(wheel, fetchWheel, root);
    await buildAddon(root, mlx);
    if (!nativeOnly) await buildTypescript(root);
  });
  say(`ready (MLX ${wheel.version} ${wheel.backend}, ${((Date.now() - started) / 1000).toFixed(0)} s)`);
}

/**
 * The first `npx mlx-gemma` in a clone links the folder into npx's cache and runs `install` for it. Nothing may be built
 * then: it would be silent, and a failure would leave a cache entry that makes every later npx fail. (A package that npx
 * fetched lies in a node_modules folder, and is built.)
 */
function isLinkingByNpx() {
  return process.env.npm_command === "exec" && !root.split(sep).includes("node_modules");
}

main().catch((error) => {
  if (error instanceof Lack) sayLack(error);
  else say(`the set-up broke (${error.stack}). To mend it: rm -rf build dist && npm ci`);
  process.exitCode = 1;
});
