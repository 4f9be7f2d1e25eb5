#!/usr/bin/env node
// What a step costs far into a text: the same step at several depths, in turn, beside what the bytes that it reads
// would make of it.
//
//   node bench/context.mjs [--model FOLDER] [--contexts 1024,32768] [--repetitions 5] [--steps 8] [--rows 1]
//                          [--threads N] [--save]
//
// Without --model: the 208 M pair of `npm run bench:peers` (E2B's pattern of layers, random weights), made where that
// keeps it. --rows 4 steps blocks of four. --save writes the raw rows into bench/results/.
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { stepBytes } from "../dist/bench/step-bytes.js";
import { locateCheckpoint, openTarget } from "../dist/checkpoint/index.js";
import { load } from "../dist/index.js";
import { evaluate, fromInt32, scope } from "../dist/mlx/array.js";
import { median } from "../dist/quantiles.js";
import { saveRows } from "./lib/save-rows.mjs";
import { table } from "./lib/table.mjs";
import { machine } from "./machine.mjs";
import { modelFolders, randomIds, WORK } from "./peers/models.mjs";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    contexts: { type: "string", default: "1024,32768" },
    repetitions: { type: "string", default: "5" },
    steps: { type: "string", default: "8" },
    rows: { type: "string", default: "1" },
    threads: { type: "string", default: "0" },
    save: { type: "boolean", default: false },
  },
});
const contexts = flags.contexts.split(",").map(Number);
const [repetitions, steps, rowCount] = [flags.repetitions, flags.steps, flags.rows].map(Number);
const model = flags.model ?? (await modelFolders("208m", WORK, console.error)).target;
const checkpoint = openTarget(await locateCheckpoint(model));
const { config } = checkpoint;
const bytes = stepBytes(checkpoint);
const bytesAt = (context) => bytes.target({ position: context, rows: rowCount });

const pair = await load({ model, threads: Number(flags.threads) });
const ids = randomIds(Math.max(...contexts), config.vocabSize, 3);
const block = fromInt32(Int32Array.from(randomIds(rowCount, config.vocabSize, 4)), [1, rowCount]);
const sessions = [];
for (const context of contexts) {
  console.error(`reading ${context} tokens`);
  const session = pair.target.openSession(rowCount);
  const output = await session.prefill(Int32Array.from(ids.slice(0, context)));
  for (const array of Object.values(output)) array.dispose();
  sessions.push({ context, session });
}

const rows = [];
for (let repetition = 0; repetition <= repetitions; repetition++) {
  for (const { context, session } of sessions) {
    const start = performance.now();
    for (let i = 0; i < steps; i++) await step(session);
    const ms = (performance.now() - start) / steps;
    if (repetition > 0) rows.push({ context, repetition, ms, bytes: bytesAt(context) });
  }
}
for (const { session } of sessions) session[Symbol.dispose]();
pair[Symbol.dispose]();

/** One step whose tokens are all dropped, so that the depth stays. */
async function step(session) {
  const output = scope(() => session.step(block));
  await evaluate([[output.logits, output.lastHidden, ...session.pending()]]);
  for (const array of Object.values(output)) array.dispose();
  session.keep(0);
}

const about = { ...machine(), model: basename(model), rows: rowCount, steps, repetitions };
const [base] = contexts;
const lines = contexts.map((context) => {
  const own = rows.filter((row) => row.context === context);
  const ratios = own.map(
    (row) => row.ms / rows.find((r) => r.context === base && r.repetition === row.repetition).ms,
  );
  const byBytes = bytesAt(context) / bytesAt(base);
  const ratio = median(ratios);
  return [
    context,
    median(own.map(({ ms }) => ms)).toFixed(2),
    `${ratio.toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
    byBytes.toFixed(2),
    (ratio / byBytes).toFixed(2),
  ];
});
console.log(
  `${about.date.slice(0, 10)}, ${about.commit}, ${about.cpu}, kernels ${about.kernels}; ${rowCount} rows a step`,
);
console.log(table(["context", "a step, ms", `÷ at ${base}`, "by bytes read", "÷ that"], lines));
if (flags.save) console.error(`rows: ${saveRows("context", about, rows)}.jsonl`);
