// Sets the peers up outside the repository: a virtual environment and llama.cpp's build, both made once.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const REQUIREMENTS = here("python/requirements.txt");

/** llama.cpp comes in the source distribution of its Python binding. */
const LLAMA = {
  package: "llama-cpp-python",
  version: "0.3.36",
  archive: "llama_cpp_python-0.3.36.tar.gz",
  sha256: "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
};
const LLAMA_OPTIONS = {
  CMAKE_BUILD_TYPE: "Release",
  GGML_NATIVE: "ON",
  GGML_CCACHE: "OFF",
  BUILD_SHARED_LIBS: "OFF",
  LLAMA_BUILD_COMMON: "ON",
  LLAMA_BUILD_TOOLS: "ON",
  LLAMA_BUILD_EXAMPLES: "OFF",
  LLAMA_BUILD_SERVER: "OFF",
  LLAMA_BUILD_TESTS: "OFF",
  LLAMA_BUILD_UI: "OFF",
  LLAMA_BUILD_APP: "OFF",
  LLAMA_OPENSSL: "OFF",
};
const LLAMA_TARGETS = ["llama-peer", "llama-bench", "llama-quantize"];
const DRIVER = ["llama/CMakeLists.txt", "llama/llama_peer.cpp"].map(here);

/** @returns the Python that has transformers, mlx-vlm and what llama.cpp's converter needs */
export async function setUpPython({ work, python, tell }) {
  if (python) return python;
  const folder = join(work, "venv");
  const program = join(folder, "bin", "python");
  const done = join(folder, "ready");
  if (existsSync(done)) return program;
  tell("making the peers' virtual environment: some gigabytes to download");
  rmSync(folder, { recursive: true, force: true });
  await command(process.env.PYTHON ?? "python3", ["-m", "venv", folder]);
  await command(program, ["-m", "pip", "install", "--quiet", "-r", REQUIREMENTS]);
  writeFileSync(done, "");
  return program;
}

/**
 * @param isa how it is built and where (instruction-set.mjs)
 * @returns `{ source, program }`: llama.cpp's source folder, and the path of one of its programs
 */
export async function setUpLlama({ work, python, threads, isa, tell }) {
  const source = join(work, "llama.cpp");
  if (!existsSync(join(source, "CMakeLists.txt"))) await unpackLlama({ work, python, source, tell });
  const build = join(work, isa.llama.folder);
  const settings = { ...LLAMA_OPTIONS, ...isa.llama.options };
  const built = { source, program: (name) => join(build, "bin", name) };
  const stamp = join(build, "ready.json");
  const made = JSON.stringify([LLAMA, settings, LLAMA_TARGETS, await Promise.all(DRIVER.map(sha256))]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === made) return built;
  tell("building llama.cpp: 10 minutes on 2 cores");
  rmSync(stamp, { force: true });
  rmSync(join(build, "CMakeCache.txt"), { force: true }); // It holds to the checkout that wrote it.
  const options = Object.entries({ LLAMA_CPP_DIR: source, ...settings });
  const defines = options.map(([key, value]) => `-D${key}=${value}`);
  await command("cmake", ["-S", here("llama"), "-B", build, "-G", "Ninja", ...defines]);
  await command("ninja", ["-C", build, "-j", String(threads), ...LLAMA_TARGETS]);
  writeFileSync(stamp, made);
  return built;
}

async function unpackLlama({ work, python, source, tell }) {
  const downloads = join(work, "sdist");
  mkdirSync(downloads, { recursive: true });
  const archive = join(downloads, LLAMA.archive);
  if (!existsSync(archive)) {
    tell(`downloading ${LLAMA.package} ${LLAMA.version}`);
    const what = ["--no-deps", "--no-binary", LLAMA.package, `${LLAMA.package}==${LLAMA.version}`];
    await command(python, ["-m", "pip", "download", "--quiet", "--dest", downloads, ...what]);
  }
  const found = await sha256(archive);
  if (found !== LLAMA.sha256)
    throw new Error(`${archive} has the SHA-256 ${found}, expected ${LLAMA.sha256}`);
  const unfinished = `${source}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  const within = `${LLAMA.archive.replace(".tar.gz", "")}/vendor/llama.cpp`;
  await command("tar", ["-xzf", archive, "-C", unfinished, "--strip-components=3", within]);
  await command("mv", [unfinished, source]);
}

async function sha256(file) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}

/** Versions of what was set up, for the header of a result. */
export async function peerVersions(python) {
  const code = `
import json
from importlib.metadata import version, PackageNotFoundError
def of(name):
    try: return version(name)
    except PackageNotFoundError: return None
print(json.dumps({name: of(name) for name in ("transformers", "torch", "mlx-vlm", "mlx")}))`;
  // A Python that can't run is told with every peer that needs it.
  const answer = python ? await run(python, ["-c", code]).catch(() => undefined) : undefined;
  const versions = answer ? JSON.parse(answer.stdout) : {};
  return { ...versions, "llama.cpp": `of ${LLAMA.package} ${LLAMA.version}` };
}

/** Runs a program quietly. @throws Error with the end of its output */
export async function command(program, args, options = {}) {
  try {
    return await run(program, args, { maxBuffer: 64 * 1024 * 1024, ...options });
  } catch (error) {
    const said = `${error.stdout ?? ""}\n${error.stderr ?? ""}`.trim().split("\n").slice(-6).join("\n  ");
    throw new Error(`${program} ${args.slice(0, 3).join(" ")} … failed: ${said || error.message}`);
  }
}
