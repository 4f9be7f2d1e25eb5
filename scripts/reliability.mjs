#!/usr/bin/env node
// `npm run reliability`: what is promised, tried once more; a short form in minutes. Prints the table (promise, test, tried, failed,
// time) and writes it into docs/reliability.md. Exit code 1 where anything failed, 2 where the words are wrong.
//
//   --nightly    the long forms: hours
//   --only text  the rows whose promise or command has this in it; the page is left as it is
//   --save       raw rows in bench/results/reliability/, of the programs too
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { saveRows } from "../bench/lib/save-rows.mjs";
import { table } from "../bench/lib/table.mjs";
import { machine } from "../bench/machine.mjs";
import { PROMISES } from "./reliability/promises.mjs";
import { summaryOf } from "./reliability/summary.mjs";
import { cells, figures, withFigures } from "./reliability/table.mjs";
import { run } from "./setup/run.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const PAGE = join(root, "docs", "reliability.md");
const USAGE = "usage: npm run reliability -- [--nightly] [--only text] [--save]\n";

const flags = flagsOf(process.argv.slice(2));
const wanted = PROMISES.filter(({ promise, command }) => `${promise} ${command}`.includes(flags?.only ?? ""));
if (flags && wanted.length > 0) {
  process.exitCode = await main(flags);
} else {
  process.stderr.write(flags ? `--only: no promise has “${flags.only}” in it\n` : USAGE);
  process.exitCode = 2;
}

function flagsOf(args) {
  try {
    const options = { nightly: { type: "boolean" }, only: { type: "string" }, save: { type: "boolean" } };
    return parseArgs({ args, options }).values;
  } catch {
    return undefined;
  }
}

async function main({ nightly, only, save }) {
  const about = machine();
  const form = nightly ? "nightly" : "short";
  const rows = [];
  for (const one of wanted) rows.push(await tryOut(one, form, save));
  console.log(
    table(
      ["promise", "test", "tried", "failed", "time"],
      rows.map((row) => cells({ ...row, command: row.command.split(", ")[0] })),
    ),
  );
  if (save) console.log(`rows: ${saveRows(`reliability/${form}`, about, rows)}.jsonl`);
  if (only === undefined)
    writeFileSync(PAGE, withFigures(readFileSync(PAGE, "utf8"), form, figures(form, about, rows)));
  const failed = rows.filter((row) => row.failed > 0);
  console.log(
    failed.length === 0
      ? "every promise held"
      : failed.map(({ promise }) => `NOT HELD: ${promise}`).join("\n"),
  );
  return failed.length === 0 ? 0 : 1;
}

async function tryOut({ promise, command, unit, program, short, nightly }, form, save) {
  process.stderr.write(`${command}\n`);
  const saves = save && form === "nightly" && command.startsWith("npm ") ? ["--save"] : [];
  const args = [...program, ...(form === "nightly" ? nightly : short), ...saves];
  const started = performance.now();
  const { code, lines } = await run(process.execPath, args, { cwd: root });
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  const { tried, failed } = summaryOf(code, lines);
  if (failed > 0) process.stderr.write(`${lines.join("\n")}\n`);
  return { promise, command, unit, tried, failed, seconds };
}
