import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const WHEEL = "what the wheel holds";
const wheel = {
  package: "mlx-cpu",
  version: "9.9.9",
  tag: "any",
  file: "mlx_cpu-9.9.9-py3-none-any.whl",
  sha256: createHash("sha256").update(WHEEL).digest("hex"),
};
const DEAD = "http://127.0.0.1:1/simple";

let folder: string;
let tools: string;
let cache: string;
let server: Server | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlx-gemma install "));
  tools = join(folder, "bin");
  cache = join(folder, "cache", "mlx-gemma", "mlx");
  mkdirSync(tools);
});

afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

/** A program on the PATH of the child, which has no other: what isn't made here is missing. */
function tool(name: string, script: string) {
  const path = join(tools, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

/** A pip that "downloads" the given content under the wheel's name into the folder after -d, and counts its calls. */
function pip(content: string) {
  tool(
    "python3",
    `case "$*" in *--version*) exit 0;; esac
while [ "$1" != -d ]; do shift; done
echo called >> '${folder}/calls'
printf '%s' '${content}' > "$2/${wheel.file}"`,
  );
}

function start(args: string[], env: Record<string, string> = {}): ChildProcess {
  const own = { PATH: tools, XDG_CACHE_HOME: join(folder, "cache"), MLX_GEMMA_INDEX_URL: DEAD };
  return spawn(process.execPath, args, { env: { ...own, ...env }, stdio: ["ignore", "pipe", "pipe"] });
}

function ended(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve) => {
    let [out, err] = ["", ""];
    child.stdout?.on("data", (text) => {
      out += text;
    });
    child.stderr?.on("data", (text) => {
      err += text;
    });
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

/** Runs an expression over the set-up's modules in a child, as the real one: a lack is told and exits with 1. */
function setUp(expression: string, env: Record<string, string> = {}) {
  const from = (name: string) => JSON.stringify(pathToFileURL(join(root, "scripts", "setup", name)).href);
  const code = `
    import { fetchWheel } from ${from("fetch-wheel.mjs")};
    import { unpackWheel } from ${from("unpack-wheel.mjs")};
    import { withLock } from ${from("lock.mjs")};
    import { sayLack } from ${from("tell.mjs")};
    const wheel = ${JSON.stringify(wheel)};
    try { console.log(await (${expression})); } catch (error) { sayLack(error); process.exitCode = 1; }`;
  return ended(start(["--input-type=module", "-e", code], env));
}

const fetching = (env: Record<string, string> = {}) => setUp("fetchWheel(wheel)", env);
const pipCalls = () =>
  existsSync(join(folder, "calls")) ? readFileSync(join(folder, "calls"), "utf8").split("\n").length - 1 : 0;

describe("the table of wheels", () => {
  type Row = { file: string; sha256: string; system: string; backend: string };
  type Machine = { platform: string; arch: string; macos?: string; glibc?: string; backend?: string };
  const table = async (): Promise<{ WHEELS: Row[]; wheelFor: (machine: Machine) => Row }> =>
    import(pathToFileURL(join(root, "scripts", "mlx-wheels.mjs")).href);

  it("has one hash and one file name a row", async () => {
    const { WHEELS } = await table();
    expect(new Set(WHEELS.map((row) => row.sha256)).size).toBe(WHEELS.length);
    expect(new Set(WHEELS.map((row) => row.file)).size).toBe(WHEELS.length);
    for (const row of WHEELS) {
      expect(row.sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(row.file).toMatch(/^mlx_[a-z0-9_]+-\d+\.\d+\.\d+-py3-none-[a-z0-9_]+\.whl$/);
    }
  });

  it("chooses by system, macOS version and backend", async () => {
    const { wheelFor } = await table();
    const linux = { platform: "linux", arch: "x64", glibc: "2.36" };
    const mac = { platform: "darwin", arch: "arm64" };
    expect(wheelFor(linux).file).toContain("mlx_cpu-0.32.4-py3-none-manylinux_2_35_x86_64");
    expect(wheelFor({ ...linux, arch: "arm64" }).file).toContain("aarch64");
    expect(wheelFor({ ...linux, backend: "cuda13" }).file).toContain("mlx_cuda_13");
    expect(wheelFor({ ...mac, macos: "14" }).file).toContain("macosx_14_0");
    expect(wheelFor({ ...mac, macos: "15" }).file).toContain("macosx_15_0");
    expect(wheelFor({ ...mac, macos: "27" }).file).toContain("macosx_26_0");
  });

  it("says why there is none", async () => {
    const { wheelFor } = await table();
    expect(() => wheelFor({ platform: "win32", arch: "x64" })).toThrow("win32 x64");
    expect(() => wheelFor({ platform: "darwin", arch: "x64", macos: "15" })).toThrow("darwin x64");
    expect(() => wheelFor({ platform: "darwin", arch: "arm64", macos: "13" })).toThrow("macOS 14 or newer");
    expect(() => wheelFor({ platform: "linux", arch: "x64", glibc: "2.31" })).toThrow("glibc 2.35");
    expect(() => wheelFor({ platform: "linux", arch: "x64" })).toThrow("musl");
    expect(() => wheelFor({ platform: "linux", arch: "x64", glibc: "2.36", backend: "metal" })).toThrow(
      "cpu, cuda13",
    );
  });
});

describe("prerequisites", () => {
  const install = () => ended(start([join(root, "scripts", "install.mjs")]));
  const good = () => {
    tool("c++", "echo '#define __GNUC__ 12'");
    tool("make", "echo GNU Make 4.3");
  };

  it("tells every missing tool in one line with a command, before anything is touched", async () => {
    const { code, err } = await install();
    const lines = err.trim().split("\n");
    expect(code).toBe(1);
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).toMatch(/^mlx-gemma: .+\. To mend it: .+/);
    expect(err).toMatch(/no C\+\+ compiler.*\n.*neither make nor ninja.*\n.*CMake was not found/);
    expect(existsSync(join(folder, "cache"))).toBe(false);
  });

  it("tells a missing CMake alone", async () => {
    good();
    const { code, err } = await install();
    expect([code, err.trim().split("\n").length]).toEqual([1, 1]);
    expect(err).toContain("CMake was not found");
  });

  it("tells what is too old", async () => {
    tool("c++", "echo '#define __GNUC__ 10'");
    tool("make", "echo GNU Make 4.3");
    tool("cmake", "echo cmake version 3.16.3");
    const { code, err } = await install();
    expect(code).toBe(1);
    expect(err).toContain("c++ is gcc 10: C++20 needs gcc 11");
    expect(err).toContain("CMake 3.16.3 is too old");
  });
});

describe("fetching the wheel", () => {
  it("goes through pip once, then uses the cache without pip or network", async () => {
    pip(WHEEL);
    const first = await fetching();
    expect(first.out.trim()).toBe(join(cache, wheel.file));
    expect(readdirSync(cache)).toEqual([wheel.file]);
    rmSync(join(tools, "python3"));
    const second = await fetching();
    expect([second.code, second.err, second.out]).toEqual([0, "", first.out]);
    expect(pipCalls()).toBe(1);
  });

  it("refuses a wrong hash and keeps nothing", async () => {
    pip("something else");
    const { code, err } = await fetching();
    expect(code).toBe(1);
    expect(err).toMatch(/not the pinned .* thrown away\. To mend it: /);
    expect(readdirSync(cache)).toEqual([]);
  });

  it("takes pip's word on a wrong hash, without trying another source", async () => {
    const got = "a".repeat(64);
    tool(
      "python3",
      `case "$*" in *--version*) exit 0;; esac\necho 'DO NOT MATCH THE HASHES'; echo 'Got  ${got}'; exit 1`,
    );
    const { code, err } = await fetching();
    expect(code).toBe(1);
    expect(err).toContain(`has sha256 ${got}, not the pinned`);
  });

  it("mends a damaged cache", async () => {
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, wheel.file), WHEEL.slice(0, 5));
    pip(WHEEL);
    const { code, err } = await fetching();
    expect([code, err.includes("is damaged")]).toEqual([0, true]);
    expect(readFileSync(join(cache, wheel.file), "utf8")).toBe(WHEEL);
  });

  it("lets two set-ups fetch at once", async () => {
    pip(WHEEL);
    const both = await Promise.all([fetching(), fetching()]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(readdirSync(cache)).toEqual([wheel.file]);
  });

  it("says what to do with neither pip nor network", async () => {
    const { code, err } = await fetching();
    expect(code).toBe(1);
    expect(err).toMatch(/pip is not installed; HTTPS: .*\. To mend it: .*pip.* or put mlx_cpu-9.9.9/);
  });

  const json = (url: string) => JSON.stringify({ files: [{ filename: wheel.file, url }] });
  const html = (url: string) => `<a href="${url}#sha256=0">${wheel.file}</a>`;
  const CURL = "/usr/bin/curl";
  for (const [name, page, curl] of [
    ["in JSON", json, false],
    ["in HTML", html, false],
    ["to curl", json, true],
  ] as const) {
    it.skipIf(curl && !existsSync(CURL))(`falls back to an index that answers ${name}`, async () => {
      if (curl) tool("curl", `exec ${CURL} "$@"`);
      server = createServer((request, response) => {
        response.end(request.url === "/simple/mlx-cpu/" ? page(`../../files/${wheel.file}`) : WHEEL);
      }).listen(0, "127.0.0.1");
      await new Promise((resolve) => server?.once("listening", resolve));
      const { port } = server.address() as AddressInfo;
      const { code, err } = await fetching({ MLX_GEMMA_INDEX_URL: `http://127.0.0.1:${port}/simple` });
      expect(err).toBe(`mlx-gemma: fetching MLX 9.9.9 (${wheel.file})\n`);
      expect(code).toBe(0);
      expect(readFileSync(join(cache, wheel.file), "utf8")).toBe(WHEEL);
    });
  }
});

describe("laying MLX beside the addon", () => {
  /** A cmake that "unpacks" two folders, and what an unpacking needs of the shell. */
  const unpacking = (body = "/bin/mkdir -p mlx/lib x.libs x.dist-info; echo new > mlx/lib/libmlx.so") =>
    tool("cmake", body);
  const unpack = () => setUp(`unpackWheel(wheel, async () => "any.whl", ${JSON.stringify(folder)})`);
  const release = () => join(folder, "build", "Release");

  it("does it once, and again when a folder is gone", async () => {
    unpacking();
    expect((await unpack()).err).toContain("unpacking MLX");
    expect(readdirSync(release()).sort()).toEqual(["mlx", "x.libs"]);
    expect((await unpack()).err).toBe("");
    rmSync(join(release(), "x.libs"), { recursive: true });
    expect((await unpack()).err).toContain("unpacking MLX");
    expect(readdirSync(release()).sort()).toEqual(["mlx", "x.libs"]);
  });

  it("replaces a half-finished one, and keeps the old one when unpacking fails", async () => {
    mkdirSync(join(release(), "mlx", "lib"), { recursive: true });
    writeFileSync(join(release(), "mlx", "lib", "libmlx.so"), "half");
    unpacking("echo 'no space left' >&2; exit 1");
    const failed = await unpack();
    expect([failed.code, failed.err.includes("no space left")]).toEqual([1, true]);
    expect(readdirSync(release())).toEqual(["mlx"]);
    unpacking();
    expect((await unpack()).code).toBe(0);
    expect(readFileSync(join(release(), "mlx", "lib", "libmlx.so"), "utf8")).toBe("new\n");
  });
});

describe("the lock of a folder", () => {
  const locked = (work: string) => setUp(`withLock(${JSON.stringify(folder)}, async () => ${work})`);

  it("is taken over from a process that is gone", async () => {
    mkdirSync(join(folder, "build"));
    writeFileSync(join(folder, "build", ".setup.lock"), "2147483646");
    expect((await locked("'mine'")).out.trim()).toBe("mine");
    expect(readdirSync(join(folder, "build"))).toEqual([]);
  });

  it("makes the second wait for the first", async () => {
    const log = JSON.stringify(join(folder, "log"));
    const work = (name: string) =>
      `{ const fs = await import("node:fs"); fs.appendFileSync(${log}, "${name}");
         await new Promise((r) => setTimeout(r, 300)); fs.appendFileSync(${log}, "${name}"); }`;
    await Promise.all([locked(work("a")), locked(work("b"))]);
    expect(readFileSync(join(folder, "log"), "utf8")).toMatch(/^(aabb|bbaa)$/);
  });
});

describe("package-lock.json", () => {
  it("holds every platform's packages, with hashes and without addresses", () => {
    type Entry = { version?: string; integrity?: string; resolved?: string; optionalDependencies?: object };
    const lock: { packages: Record<string, Entry> } = JSON.parse(
      readFileSync(join(root, "package-lock.json"), "utf8"),
    );
    for (const [path, entry] of Object.entries(lock.packages)) {
      if (path !== "")
        expect(entry, path).toMatchObject({ version: /./, integrity: expect.stringMatching(/^sha512-/) });
      if (path !== "") expect(entry.resolved, path).toBeUndefined();
      for (const name of Object.keys(entry.optionalDependencies ?? {})) {
        expect(lock.packages, `${path} → ${name}`).toHaveProperty([`node_modules/${name}`]);
      }
    }
  });
});
