#!/usr/bin/env node
// Where the time of loading a pair goes, beside reading its weights once as bytes: each part alone, and `load()` with the
// first token, where the parts are done at the same time.
//
//   node bench/load.mjs [--model FOLDER --draft FOLDER] [--repetitions 5] [--save]
//
// Without --model: the 208 M pair of `npm run bench:peers`, made where that keeps it. --save writes the raw rows into
// bench/results/. Processor time is that of all threads; it says what a part costs on a machine that is not idle.
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { checkPair, openAssistant, openTarget } from "../dist/checkpoint/index.js";
import { Gemma4Assistant } from "../dist/drafter/gemma4-assistant.js";
import { load } from "../dist/load.js";
import { median } from "../dist/quantiles.js";
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

const READING = "reading the files";
const rows = [];
for (let repetition = 0; repetition <= repetitions; repetition++) {
  const row = { repetition };
  const timed = async (name, work) => {
    const [from, used] = [performance.now(), process.cpuUsage()];
    const result = await work();
    const { user, system } = process.cpuUsage(used);
    row[name] = { ms: performance.now() - from, cpuMs: (user + system) / 1000 };
    return result;
  };
  const free = (...parts) => {
    for (const part of parts) part[Symbol.dispose]();
  };
  await timed(READING, () => {
    for (const folder of [folders.target, folders.assistant]) readTime(folder);
  });
  const pair = await timed("load() and the first token", async () => {
    const loaded = await load({ model: folders.target, draft: folders.assistant });
    free(await firstToken(loaded.target));
    return loaded;
  });
  free(pair);

  const [checkpoint, assistant] = await timed("configs, headers, pairing", () => {
    const opened = [openTarget(folders.target), openAssistant(folders.assistant)];
    checkPair(...opened);
    return opened;
  });
  await timed("tokenizer", () => openTokenizer(checkpoint.folder));
  const target = await timed("target's weights", () => Gemma4Target.load(checkpoint, {}));
  const drafter = await timed("assistant's weights", () => Gemma4Assistant.load(assistant, {}));
  free(await timed("first token", () => firstToken(target)), drafter, target);
  // Repetition 0 brings the files into the page cache and libraries into memory.
  if (repetition > 0) rows.push(row);
}

/** Processes one token, in a session that the caller frees. */
async function firstToken(target) {
  const session = target.openSession(1);
  const output = await session.prefill(Int32Array.of(2));
  for (const array of Object.values(output)) array.dispose();
  return session;
}

const about = { ...machine(), model: basename(join(folders.target, "..")), repetitions };
const lines = Object.keys(rows[0])
  .slice(1)
  .map((name) => {
    const of = (figure) => median(rows.map((row) => figure(row[name], row[READING])));
    return [
      name,
      of(({ ms }) => ms).toFixed(1),
      of(({ ms }, reading) => ms / reading.ms).toFixed(2),
      of(({ cpuMs }) => cpuMs).toFixed(1),
      of(({ cpuMs }, reading) => cpuMs / reading.cpuMs).toFixed(2),
    ];
  });
console.log(`${about.date.slice(0, 10)}, ${about.commit}, ${about.cpu}, ${about.model}`);
console.log(table(["phase", "ms", "÷ reading", "processor ms", "÷ reading's"], lines));
if (flags.save) console.error(`rows: ${saveRows("load", about, rows)}.jsonl`);
