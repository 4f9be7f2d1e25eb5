// Builds C++ with cmake-js: the addon, and the C++ tests. CMake works in a folder of its own, and only a finished
// addon is put in place by a rename, so that a running program or an interrupted build never meets half a file.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import { dirname, join, relative } from "node:path";
import { ask, run, temporary } from "./run.mjs";
import { Lack, say } from "./tell.mjs";

const ADDON = "mlx_gemma.node";

export async function buildAddon(root, mlx) {
  const out = join(root, "build", "addon");
  const place = join(root, "build", "Release", ADDON);
  const stamp = `${place}.inputs`;
  const inputs = await hashOfInputs(root, mlx);
  if (existsSync(place) && (await readFile(stamp, "utf8").catch(() => "")) === inputs) return place;
  await rm(stamp, { force: true });
  await cmake(root, out, { MLX_ROOT: mlx }, "the addon");
  const built = join(out, "Release", ADDON);
  const whole = temporary(place);
  await copyFile(built, whole);
  await rename(whole, place);
  await writeFile(stamp, inputs);
  return place;
}

/**
 * All that the addon is made of. CMake's own look at times isn't enough: `npm ci` lays node-addon-api anew each time, and
 * everything that includes it would be compiled again.
 */
async function hashOfInputs(root, mlx) {
  const hash = createHash("sha256");
  const entries = await readdir(join(root, "native"), { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const manifests = ["node-addon-api", "node-api-headers"].map(manifestOf);
  const own = ["CMakeLists.txt", "package.json"].map((name) => join(root, name));
  for (const file of [...files.sort(), ...own, ...manifests, join(mlx, ".wheel")]) {
    hash.update(`${relative(root, file)}\0`).update(await readFile(file));
  }
  const compiler = process.env.CXX || "c++";
  hash.update([compiler, process.env.CXXFLAGS, ask(compiler, ["--version"]), process.arch].join("\0"));
  return hash.digest("hex");
}

/** Configures and builds `target` (all when absent) in `out`, telling how far it is every few seconds. */
export async function cmake(root, out, definitions, what, target) {
  await forgetMovedBuild(root, out);
  const bin = join(dirname(manifestOf("cmake-js")), "bin", "cmake-js");
  const common = ["--directory", root, "--out", out, "--config", "Release", "--log-level", "error"];
  const defined = Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`);
  const configured = await run(process.execPath, [bin, "configure", ...common, ...defined]);
  if (configured.code !== 0) throw failure(`${what} could not be configured`, configured.lines);

  say(`building ${what}`);
  let told = Date.now();
  const onLine = (line) => {
    const progress = line.match(/^\[\s*\d+(%|\/\d+)\]/)?.[0];
    if (!progress || Date.now() - told < 15_000) return;
    told = Date.now();
    say(`building ${what} ${progress}`);
  };
  const parallel = ["--parallel", process.env.MLX_GEMMA_JOBS || String(os.availableParallelism?.() ?? 2)];
  const only = target ? ["--target", target] : [];
  const built = await run(process.execPath, [bin, "build", ...common, ...defined, ...parallel, ...only], {
    onLine,
  });
  if (built.code !== 0) throw failure(`${what} could not be built`, built.lines);
}

function manifestOf(name) {
  try {
    return createRequire(import.meta.url).resolve(`${name}/package.json`);
  } catch {
    throw new Lack(`${name} is not installed`, "npm ci");
  }
}

/** CMake refuses a build folder that was made elsewhere: after a move it starts afresh. */
async function forgetMovedBuild(root, out) {
  const cache = await readFile(join(out, "CMakeCache.txt"), "utf8").catch(() => "");
  const home = cache.match(/^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m)?.[1];
  if (home !== undefined && home !== root) await rm(out, { recursive: true, force: true });
}

function failure(what, lines) {
  const told = lines
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && !line.startsWith("ERROR OMG"));
  const first = told.findIndex((line) => /\berror\b[:\s]|CMake Error|fatal|No space left|Killed/.test(line));
  // CMake says where on one line and what on the next.
  const cause = told.slice(first, first + (/^CMake Error.*:$/.test(told[first]) ? 2 : 1));
  const killed = lines.some((line) => /Killed|cannot allocate|out of memory/i.test(line));
  return new Lack(
    `${what}${
      first >= 0
        ? ` (${cause
            .map((line) => line.trim())
            .join(" ")
            .slice(0, 200)})`
        : ""
    }`,
    killed
      ? "MLX_GEMMA_JOBS=1 npm run build (memory ran out)"
      : "see the compiler's lines above; after a change of compiler: rm -rf build && npm run build",
    told.slice(-20),
  );
}
