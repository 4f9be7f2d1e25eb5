// The frame of the long programs, `npm run fuzz:…` and `npm run faults:…`: flags, progress, a table, saved rows.
import { parseArgs } from "node:util";
import { Chalk } from "chalk";
import { saveRows } from "../bench/lib/save-rows.mjs";
import { columnsTable } from "../dist/cli/ui/columns.js";

/**
 * Reads the flags and runs the program, whose result is the exit code; 2 and the usage where the words are wrong.
 *
 * @param {object} program
 * @param {string} program.usage the command with its flags
 * @param {object} program.options of `parseArgs`; each has --save, too
 * @param {(values: object) => object | undefined} program.read what the values mean; nothing, or an error, where they are wrong
 * @param {(flags: object, wrong: () => number) => Promise<number>} program.run `wrong` is for what only the program can tell
 */
export async function runCampaign({ usage, options, read, run }) {
  const wrong = () => {
    process.stderr.write(`usage: ${usage}\n`);
    return 2;
  };
  const flags = flagsOf({ ...options, save: { type: "boolean", default: false } }, read);
  process.exitCode = flags ? await run(flags, wrong) : wrong();
}

function flagsOf(options, read) {
  try {
    return read(parseArgs({ args: process.argv.slice(2), options }).values);
  } catch {
    return undefined;
  }
}

/** NaN for anything else. */
export function wholeNumber(text) {
  return /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
}

export function secondsSince(start) {
  return Math.round((performance.now() - start) / 1000);
}

/** Says something every `ms`, and when it is `last`. */
export function teller(ms) {
  let told = performance.now();
  return (text, last = false) => {
    if (performance.now() - told < ms && !last) return;
    told = performance.now();
    process.stderr.write(`${text}\n`);
  };
}

/** A table for a log: no colours, as wide as it is. @param head strings; of numbers `{ head, right: true }` */
export function plainTable(head, lines) {
  const columns = head.map((each) => (typeof each === "string" ? { head: each } : each));
  return columnsTable(columns, lines, {
    chalk: new Chalk({ level: 0 }),
    columns: Number.POSITIVE_INFINITY,
  });
}

/** Heads of columns of numbers. */
export function numbers(...names) {
  return names.map((head) => ({ head, right: true }));
}

/** Writes rows to bench/results/reliability/, and says where. @param about what `machine()` said when the program began */
export function saveAndTell(name, about, rows) {
  process.stderr.write(`rows: ${saveRows(`reliability/${name}`, about, rows)}.jsonl\n`);
}
