#!/usr/bin/env node
// Where the time of loading a pair goes, phase by phase, beside reading its weights once as bytes.
//
//   node bench/load.mjs [--model FOLDER --draft FOLDER] [--repetitions 5] [--save]
//
// Without --model: the 208 M pair of `npm run bench:peers`, made where that keeps it. --save writes the raw rows into
// bench/results/.
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../dist/bench/statistics.js";
import { checkPair, openAssistant, openTarget } from "../dist/checkpoint/index.js";
import { Gemma4Assistant } from "../dist/drafter/gemma4-assistant.js";
import { Gemma4Target } from "../dist/target/gemma4-target.js";
import { openTokenizer } from "../dist/text/tokenizer.js";
import { saveRows } from "./lib/save-rows.mjs";
import { table } from "./lib/table.mjs";
import { machine } from "./machine.mjs";
import { modelFolders, readTime, WORK } from "./peers/models.mjs";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    draft: { type: "string" },
    repetitions: { type: "string", default: "5" },
    save: { type: "boolean", default: false },
  },
});
const repetitions = Number(flags.repetitions);
const folders =
  flags.model && flags.draft
    ? { target: flags.model, assistant: flags.draft }
    : await modelFolders("208m", WORK, console.error);

const rows = [];
for (let repetition = 0; repetition <= repetitions; repetition++) {
  const row = { repetition, "reading the files": readTime(folders.target) + readTime(folders.assistant) };
  let from = performance.now();
  const phase = (name) => {
    const now = performance.now();
    row[name] = now - from;
    from = now;
  };
  const [checkpoint, assistant] = [openTarget(folders.target), openAssistant(folders.assistant)];
  checkPair(checkpoint, assistant);
  phase("configs, headers, pairing");
  await openTokenizer(checkpoint.folder);
  phase("tokenizer");
  const target = await Gemma4Target.load(checkpoint, {});
  phase("target's weights");
  const drafter = await Gemma4Assistant.load(assistant, {});
  phase("assistant's weights");
  const session = target.openSession(1);
  const output = await session.prefill(Int32Array.of(2));
  phase("first token");
  for (const array of Object.values(output)) array.dispose();
  for (const part of [session, drafter, target]) part[Symbol.dispose]();
  // Repetition 0 brings the files into the page cache and libraries into memory.
  if (repetition > 0) rows.push(row);
}

const about = { ...machine(), model: basename(join(folders.target, "..")), repetitions };
const figures = Object.keys(rows[0]).slice(1);
const lines = figures.map((name) => {
  const ms = rows.map((row) => row[name]);
  const ratios = rows.map((row) => row[name] / row["reading the files"]);
  return [name, median(ms).toFixed(1), median(ratios).toFixed(2)];
});
console.log(`${about.date.slice(0, 10)}, ${about.commit}, ${about.cpu}, ${about.model}`);
console.log(table(["phase", "ms", "÷ reading"], lines));
if (flags.save) console.error(`rows: ${saveRows("load", about, rows)}.jsonl`);
