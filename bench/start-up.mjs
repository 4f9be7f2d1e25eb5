#!/usr/bin/env node
// How long a command takes from a cold shell, as a ratio to Node.js itself (`node -e 0`), and the time to the first token
// of the embedded pair. Runs alternate; medians, after one run of each that counts for nothing. `--check` ends
// with 1 where a limit is not kept: for a quiet machine. `--save` writes the raw rows into bench/results/.
//
//   npm run bench:start-up -- [--repetitions N] [--check] [--save]
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../dist/quantiles.js";
import { saveRows } from "./lib/save-rows.mjs";
import { machine } from "./machine.mjs";

const BIN = fileURLToPath(new URL("../bin/mlx-gemma.js", import.meta.url));
const { values } = parseArgs({
  options: {
    repetitions: { type: "string", default: "15" },
    check: { type: "boolean", default: false },
    save: { type: "boolean", default: false },
  },
});
const PROMPT = "Tell me a story about a fox.";
const commands = [
  { name: "node -e 0", argv: ["-e", "0"] },
  { name: "--help", argv: [BIN, "--help"], limit: 120 },
  { name: "--version", argv: [BIN, "--version"], limit: 120 },
  { name: "generate --help", argv: [BIN, "generate", "--help"], limit: 120 },
  { name: "inspect-weights", argv: [BIN, "inspect-weights"], limit: 120 },
  { name: "models", argv: [BIN, "models"] },
  { name: "first token, plain", argv: [BIN, "generate", "-n", "8", PROMPT], until: "output", limit: 500 },
  {
    name: "first token, drafted",
    argv: [BIN, "generate", "-n", "8", "--draft", "assistant", PROMPT],
    until: "output",
    limit: 500,
  },
];

const about = machine();
const rows = [];
for (let repetition = 0; repetition <= Number(values.repetitions); repetition++) {
  for (const command of commands) {
    const ms = await milliseconds(command);
    // Repetition 0 brings the files into the page cache.
    if (repetition > 0) rows.push({ command: command.name, repetition, ms });
  }
}
const medianOf = (name) => median(rows.filter(({ command }) => command === name).map(({ ms }) => ms));
const base = medianOf(commands[0].name);
for (const { name, limit } of commands) {
  const ms = medianOf(name);
  const late = limit !== undefined && ms > limit;
  const verdict = limit === undefined ? "" : `  ${late ? "over" : "within"} ${limit} ms`;
  console.log(
    `${name.padEnd(22)} ${ms.toFixed(0).padStart(5)} ms  ${(ms / base).toFixed(2).padStart(5)} × node${verdict}`,
  );
  if (late && values.check) process.exitCode = 1;
}

if (values.save) console.log(`rows: ${saveRows("start-up", about, rows)}.jsonl`);

/** Until a command has ended or, for `until: "output"`, until something is on its stdout. */
function milliseconds({ name, argv, until }) {
  return new Promise((resolve, reject) => {
    const since = performance.now();
    let first;
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "ignore"] });
    child.stdout.on("data", () => {
      first ??= performance.now() - since;
    });
    child.on("error", reject).on("close", (code) => {
      const time = until === "output" ? first : performance.now() - since;
      if (code !== 0 || time === undefined) reject(new Error(`${name} ended with ${code}`));
      else resolve(time);
    });
  });
}
