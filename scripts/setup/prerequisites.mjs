// What a machine must have before anything is fetched or built. Each lack is one line with the command that mends it.
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { compareVersions } from "../mlx-wheels.mjs";
import { ask } from "./run.mjs";
import { Lack } from "./tell.mjs";

const NODE = "20.17.0"; // what cmake-js 8 runs on
const CMAKE = "3.22"; // Ubuntu 22.04's
const GCC = 11;
const CLANG = 14;

const COMMANDS = {
  compiler: {
    debian: "sudo apt-get install g++ make",
    fedora: "sudo dnf install gcc-c++ make",
    macos: "xcode-select --install",
    other: "install g++ 11 or newer (or clang++ 14 or newer) and make with your package manager",
  },
  cmake: {
    debian: "sudo apt-get install cmake",
    fedora: "sudo dnf install cmake",
    macos: "brew install cmake",
    other: `install CMake ${CMAKE} or newer with your package manager`,
  },
  pip: {
    debian: "sudo apt-get install python3-pip",
    fedora: "sudo dnf install python3-pip",
    macos: "xcode-select --install",
    other: "install Python 3 with pip with your package manager",
  },
  node: {
    macos: "brew install node",
    other: "install Node.js 22 from https://nodejs.org/en/download",
  },
};

/** The command that installs `what` on this system. */
export function commandFor(what, system = systemFamily()) {
  return COMMANDS[what][system] ?? COMMANDS[what].other;
}

function systemFamily() {
  if (process.platform === "darwin") return "macos";
  try {
    const names =
      readFileSync("/etc/os-release", "utf8")
        .match(/^ID(_LIKE)?=.*$/gm)
        ?.join(" ") ?? "";
    if (/debian|ubuntu/.test(names)) return "debian";
    if (/fedora|rhel/.test(names)) return "fedora";
  } catch {
    // No os-release: the general words must do.
  }
  return "other";
}

/** What `wheelFor` asks about a machine. */
export function thisMachine() {
  // Darwin's major version runs ahead of macOS's: 23 is macOS 14, 24 is 15, and 25 is 26.
  const darwin = Number.parseInt(release(), 10);
  return {
    platform: process.platform,
    arch: process.arch,
    macos: process.platform === "darwin" ? String(darwin >= 25 ? darwin + 1 : darwin - 9) : undefined,
    glibc: process.report?.getReport().header.glibcVersionRuntime,
    backend: process.env.MLX_GEMMA_BACKEND,
  };
}

/** All that is missing to build the addon, in the order in which a person would mend it. */
export function missingPrerequisites() {
  return [nodeLack(), compilerLack(), makeLack(), cmakeLack()].filter((lack) => lack !== undefined);
}

function nodeLack() {
  if (compareVersions(process.versions.node, NODE) >= 0) return undefined;
  return new Lack(
    `Node.js ${process.versions.node} is too old: ${NODE} or newer is needed`,
    commandFor("node"),
  );
}

function compilerLack() {
  // CMake's own order; CXX, when set, is the only one that it tries.
  const candidates = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
  for (const compiler of candidates) {
    const macros = ask(compiler, ["-x", "c++", "-dM", "-E", "-"]);
    if (macros === undefined) continue;
    const macro = (name) => Number(macros.match(new RegExp(`#define ${name} (\\d+)`))?.[1] ?? 0);
    const [name, found, needed] = macro("__clang_major__")
      ? ["clang", macro("__clang_major__"), CLANG]
      : ["gcc", macro("__GNUC__"), GCC];
    if (found >= needed) return undefined;
    return new Lack(
      `the C++ compiler ${compiler} is ${name} ${found}: C++20 needs gcc ${GCC} or clang ${CLANG} or newer`,
      `${commandFor("compiler")} (or name a newer one: CXX=g++-12 npm run build)`,
    );
  }
  const tried = candidates.join(", ");
  return new Lack(`no C++ compiler was found (tried ${tried})`, commandFor("compiler"));
}

function makeLack() {
  if (ask("make", ["--version"]) !== undefined || ask("ninja", ["--version"]) !== undefined) return undefined;
  return new Lack("neither make nor ninja was found", commandFor("compiler"));
}

function cmakeLack() {
  const version = ask("cmake", ["--version"])?.match(/\d+\.\d+(\.\d+)?/)?.[0];
  if (version === undefined) return new Lack("CMake was not found", commandFor("cmake"));
  if (compareVersions(version, CMAKE) >= 0) return undefined;
  return new Lack(`CMake ${version} is too old: ${CMAKE} or newer is needed`, commandFor("cmake"));
}
