// Loaded before a command with --import: ends the process by SIGKILL at its n-th change of a file, before it or in the middle of it.
// MLX_GEMMA_KILL_AT: { step, half }. Without it, the number of steps is written to the file MLX_GEMMA_KILL_COUNT at the end.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { isMainThread } from "node:worker_threads";

const { MLX_GEMMA_KILL_AT: at, MLX_GEMMA_KILL_COUNT: count } = process.env;
const { step: last, half } = at ? JSON.parse(at) : { step: -1, half: false };
const { writeFileSync, readFileSync } = fs;
let steps = 0;

/** Half of what a call would have written, as arguments for the same function; undefined: it can't be halved. */
const HALVES = {
  writeFile: ([path, data, ...rest]) => [path, halfOf(data), ...rest],
  appendFile: ([path, data, ...rest]) => [path, halfOf(data), ...rest],
  truncate: ([length, ...rest]) => [Math.floor((length ?? 0) / 2), ...rest],
};
const HANDLE_HALVES = {
  write: ([data, offset, length, position]) =>
    typeof data === "string"
      ? [halfOf(data)]
      : [data, offset ?? 0, Math.floor((length ?? data.byteLength - (offset ?? 0)) / 2), position ?? null],
  writeFile: ([data, ...rest]) => [halfOf(data), ...rest],
  appendFile: ([data, ...rest]) => [halfOf(data), ...rest],
  truncate: HALVES.truncate,
};
const NAMES = [
  "rename",
  "rm",
  "unlink",
  "mkdir",
  "rmdir",
  "link",
  "symlink",
  "utimes",
  "writeFile",
  "appendFile",
  "copyFile",
];

if (isMainThread) {
  const handle = await fs.promises.open("/dev/null");
  const methods = Object.getPrototypeOf(handle);
  await handle.close();
  for (const name of NAMES) {
    wrap(fs, `${name}Sync`, HALVES[name]);
    wrap(fs.promises, name, HALVES[name]);
  }
  wrap(fs.promises, "open", undefined, ([, flags = "r"]) => typeof flags === "string" && /[wa+]/.test(flags));
  for (const [name, halve] of Object.entries(HANDLE_HALVES)) wrap(methods, name, halve);
  syncBuiltinESMExports();
  if (count) process.on("exit", () => writeFileSync(count, String(steps)));
}

function wrap(object, name, halve, isChange = () => true) {
  const original = object[name];
  object[name] = function (...args) {
    if (!isChange(args) || steps++ !== last) return original.apply(this, args);
    if (!half) die();
    if (name.startsWith("copyFile")) writeFileSync(args[1], halfOf(readFileSync(args[0])));
    if (!halve) die();
    const done = original.apply(this, halve(args));
    return done instanceof Promise ? done.then(die, die) : die();
  };
}

function halfOf(data) {
  return typeof data === "string" ? data.slice(0, data.length / 2) : data.subarray(0, data.byteLength / 2);
}

function die() {
  process.kill(process.pid, "SIGKILL");
  for (;;); // Nothing more of it happens.
}
