import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { ROOT } from "../cli/helpers.js";
import { NO_MOUNT } from "./small-disk.js";

const BIN = `${ROOT}bin/mlx-gemma.js`;
// A fixed K: where others use the machine, `auto` may add a line that drafting does not pay.
const ANSWER = ["generate", "--draft", "assistant", "--draft-tokens", "3", "-n", "60", "--ignore-eos", "Hi"];
const BENCH = ["bench", "--suite", "chat", "--draft-tokens", "3", "-n", "2", "-r", "1", "--quiet"];

/** Runs the built command behind a line of the shell; `$@` is the command. */
function behind(line: string, args: readonly string[], cwd = ROOT) {
  const { status, stdout, stderr } = spawnSync("sh", ["-c", line, "sh", process.execPath, BIN, ...args], {
    cwd,
    encoding: "utf8",
    env: { ...process.env, MLX_GEMMA_CONFIG: "none" },
  });
  return { code: status, stdout, stderr };
}

const NO_FULL = process.platform === "linux" && existsSync("/dev/full") ? undefined : "skipped: no /dev/full";

describe.skipIf(NO_FULL)(`a full disk behind stdout${NO_FULL ? ` (${NO_FULL})` : ""}`, () => {
  it.each([
    ["an answer", ANSWER],
    ["JSON", [...ANSWER, "--json"]],
    ["the help", ["--help"]],
  ])("is one line and exit code 1: %s", (_, args) => {
    expect(behind('"$@" >/dev/full', args)).toEqual({
      code: 1,
      stdout: "",
      stderr: "mlx-gemma: stdout: can't be written (ENOSPC: no space left on device, write)\n",
    });
  });

  it("and behind stderr hides neither the answer nor the exit code", () => {
    const { code, stdout } = behind('"$@" 2>/dev/full', ANSWER);
    expect({ code, stdout }).toEqual({ code: 0, stdout: behind('"$@"', ANSWER).stdout });
    expect(behind('"$@" 2>/dev/full', ["generate", "--model", "/nowhere", "Hi"]).code).toBe(3);
  });
});

/** What takes a place to write `name`, how the folder is left, and what the line says. */
const WRITERS: readonly (readonly [string, string, readonly string[]])[] = [
  ["generate --trace", "out.json", [...ANSWER, "--trace", "out.json"]],
  ["generate --html", "out.html", [...ANSWER, "--html", "out.html"]],
  ["bench --save", "out.json", [...BENCH, "--save", "out.json"]],
  ["quantize", "out", ["quantize", "-o", "out", "--quiet"]],
];

// 4 blocks are 2 or 4 KiB, by the shell: less than any of the files.
describe("a file that may not grow (ulimit -f)", () => {
  it.each(WRITERS)("is one line, exit code 10 and no file: %s", (_, __, args) => {
    const folder = temporaryFolder();
    const { code, stderr } = behind('ulimit -f 4; "$@"', args, folder);
    expect(stderr).toMatch(/^mlx-gemma: .*\bout.*found a file that may not grow further \(ulimit -f\);.*\n$/);
    expect(code).toBe(10);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("leaves the file that was there", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "out.json"), "before");
    expect(behind('ulimit -f 4; "$@"', [...ANSWER, "--trace", "out.json"], folder).code).toBe(10);
    expect(readFileSync(join(folder, "out.json"), "utf8")).toBe("before");
    expect(readdirSync(folder)).toEqual(["out.json"]);
  });
});

it("chat /save to a file that may not grow is one line and no file, and leaves the one that was there", () => {
  const folder = temporaryFolder();
  const save = () =>
    spawnSync("sh", ["-c", 'ulimit -f 0; "$@"', "sh", process.execPath, BIN, "chat", "-n", "8"], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, MLX_GEMMA_CONFIG: "none" },
      input: "Hi\n/save out.json\n",
    });
  const line =
    "mlx-gemma: /save out.json: expected a place to write to, found a file that may not grow further (ulimit -f); give another\n";
  expect(save()).toMatchObject({ status: 10, stderr: line });
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(join(folder, "out.json"), "{}");
  save();
  expect(readFileSync(join(folder, "out.json"), "utf8")).toBe("{}");
  expect(readdirSync(folder)).toEqual(["out.json"]);
});

describe.skipIf(NO_MOUNT)(`a full disk${NO_MOUNT ? ` (${NO_MOUNT})` : ""}`, () => {
  it.each(WRITERS)("is one line, exit code 10 and no file: %s", (_, name, args) => {
    const folder = temporaryFolder();
    // The file's size is not that of the disk: `quantize` finds out beforehand, the others as they write.
    const script = `mount -t tmpfs -o size=16k none ${folder} && cd ${folder} && head -c 12k /dev/zero >full; "$@"; code=$?; ls -A; exit $code`;
    const { code, stdout, stderr } = behind(`unshare -rm sh -c '${script}' sh "$@"`, args);
    expect(stderr).toMatch(/^mlx-gemma: .*(found the disk full|expected room for .* found .* free).*\n$/);
    expect(code).toBe(10);
    expect(stdout).toMatch(/(^|\n)full\n$/);
    expect(stdout).not.toContain(name);
  });

  it("is one line, exit code 10 and no file: chat /save", () => {
    const folder = temporaryFolder();
    const script = `mount -t tmpfs -o size=16k none ${folder} && cd ${folder} && head -c 64k /dev/zero >full 2>/dev/null; "$@"; code=$?; ls -A >&2; exit $code`;
    const words = ["-c", `unshare -rm sh -c '${script}' sh "$@"`, "sh", process.execPath, BIN];
    const { status, stderr } = spawnSync("sh", [...words, "chat", "-n", "8"], {
      encoding: "utf8",
      env: { ...process.env, MLX_GEMMA_CONFIG: "none" },
      input: "Hi\n/save out.json\n",
    });
    expect(stderr).toMatch(/^mlx-gemma: \/save out\.json: [^\n]*found the disk full[^\n]*\nfull\n$/);
    expect(status).toBe(10);
  });
});

/** What is missing to be somebody whom folders refuse. */
const NO_STRANGER =
  process.getuid?.() === 0 &&
  spawnSync("setpriv", [
    "--reuid=23456",
    "--regid=23456",
    "--clear-groups",
    process.execPath,
    BIN,
    "--version",
  ]).status === 0
    ? undefined
    : "skipped: needs root, setpriv, and a checkout that all may read";

describe.skipIf(NO_STRANGER)(`a folder without permission${NO_STRANGER ? ` (${NO_STRANGER})` : ""}`, () => {
  const STRANGER = 'setpriv --reuid=23456 --regid=23456 --clear-groups "$@"';

  it.each(WRITERS)("is one line, exit code 10 and no file: %s", (_, name, args) => {
    const folder = temporaryFolder();
    const { code, stderr } = behind(`chmod 755 .; ${STRANGER}`, args, folder);
    expect(stderr).toMatch(new RegExp(`^mlx-gemma: .*${name}: expected a place to write.*; give .*\n$`));
    expect(code).toBe(10);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is one line where a model is to be pulled into it", () => {
    const folder = temporaryFolder();
    const env = `chmod 755 .; export HF_HUB_CACHE=${folder} HF_TOKEN=x HF_ENDPOINT=http://127.0.0.1:1`;
    const { code, stderr } = behind(`${env}; ${STRANGER}`, ["pull", "google/gemma-4-E2B-it"], folder);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^mlx-gemma: .*\n$/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("does not keep the model in it from being read", () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "model"));
    for (const name of readdirSync(`${ROOT}models/tiny-gemma4/target`))
      copyFileSync(join(ROOT, "models/tiny-gemma4/target", name), join(folder, "model", name));
    const args = ["generate", "--model", "model", "-n", "8", "Hi"];
    const read = behind(`chmod -R a+rX,a-w .; ${STRANGER}`, args, folder);
    expect(read).toEqual({
      code: 0,
      stdout: behind('"$@"', ["generate", "-n", "8", "Hi"]).stdout,
      stderr: "",
    });
  });

  it.each([
    ["models", 10],
    ["pull google/gemma-4-E2B-it", 10],
    ["generate -n 2 Hi", 0],
    ["doctor", 0],
  ])("without HOME and an entry of its own the user is told in a line: %s", (command, expected) => {
    const words = command.split(" ");
    const { code, stderr, stdout } = behind(
      `unset HOME XDG_CACHE_HOME HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE; export HF_HUB_OFFLINE=1; ${STRANGER}`,
      words,
    );
    if (words[0] === "doctor") expect(stdout).toMatch(/HOME: expected the user's folder/);
    else expect(code).toBe(expected);
    expect(stderr).toMatch(
      expected === 10
        ? /^mlx-gemma: HOME: expected the user's folder, .* found none; set HF_HOME to a folder of yours\n$/
        : /^$/,
    );
  });
});
