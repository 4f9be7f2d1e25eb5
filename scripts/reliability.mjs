#!/usr/bin/env node
// `npm run reliability`: what is promised, tried once more; a short form in minutes. Prints the table (promise, test, tried, failed,
// time). Exit code 1 where anything failed, 2 where the words are wrong.
//
//   --nightly    the long forms: hours
//   --only text  the rows whose promise or command has this in it: the long forms need not be run in one go
//   --save       a row of each in bench/results/reliability/; docs/reliability.md is written anew from the newest ones of all promises
//   --page       only that: nothing is run
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { saveRows } from "../bench/lib/save-rows.mjs";
import { table } from "../bench/lib/table.mjs";
import { machine } from "../bench/machine.mjs";
import { PROMISES } from "./reliability/promises.mjs";
import { folderOf, newest } from "./reliability/saved.mjs";
import { summaryOf } from "./reliability/summary.mjs";
import { cells, figures, withFigures } from "./reliability/table.mjs";
import { run } from "./setup/run.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const RESULTS = join(root, "bench", "results");
const PAGE = join(root, "docs", "reliability.md");
const USAGE = "usage: npm run reliability -- [--nightly] [--only text] [--save] [--page]\n";

const flags = flagsOf(process.argv.slice(2));
const wanted = PROMISES.filter(({ promise, command }) => `${promise} ${command}`.includes(flags?.only ?? ""));
if (flags && wanted.length > 0) {
  process.exitCode = flags.page ? writePage() : await main(flags);
} else {
  process.stderr.write(flags ? `--only: no promise has “${flags.only}” in it\n` : USAGE);
  process.exitCode = 2;
}

function flagsOf(args) {
  try {
    const options = {
      nightly: { type: "boolean" },
      only: { type: "string" },
      save: { type: "boolean" },
      page: { type: "boolean" },
    };
    return parseArgs({ args, options }).values;
  } catch {
    return undefined;
  }
}

async function main({ nightly, save }) {
  const form = nightly ? "nightly" : "short";
  const rows = [];
  for (const one of wanted) {
    rows.push({ ...one, run: await tryOut(one, form, save) });
    // After each: hours of work are not lost with what comes next.
    if (save) writePage();
  }
  console.log(
    table(
      ["promise", "test", "tried", "failed", "time", "date, commit"],
      rows.map((row) => cells({ ...row, command: row.command.split(", ")[0] })),
    ),
  );
  const failed = rows.filter((row) => row.run.failed > 0);
  console.log(
    failed.length === 0
      ? "every promise held"
      : failed.map(({ promise }) => `NOT HELD: ${promise}`).join("\n"),
  );
  return failed.length === 0 ? 0 : 1;
}

async function tryOut({ command, saved, program, short, nightly }, form, save) {
  process.stderr.write(`${command}\n`);
  const about = machine();
  const saves = save && form === "nightly" && command.startsWith("npm ") ? ["--save"] : [];
  const args = [...program, ...(form === "nightly" ? nightly : short), ...saves];
  const started = performance.now();
  const { code, lines } = await run(process.execPath, args, { cwd: root });
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  const { tried, failed } = summaryOf(code, lines);
  if (failed > 0) process.stderr.write(`${lines.join("\n")}\n`);
  // A program writes its rows itself, unless it ended too early for that; vitest has none.
  const last = newest(RESULTS, form, saved)?.about.date ?? "";
  if (save && last < about.date)
    saveRows(`${folderOf(form)}/${saved}`, about, [{ what: saved, args, tried, failed, seconds }]);
  return { about, tried, failed, seconds };
}

function writePage() {
  let page = readFileSync(PAGE, "utf8");
  for (const form of ["nightly", "short"]) {
    const rows = PROMISES.map((one) => ({ ...one, run: newest(RESULTS, form, one.saved) }));
    page = withFigures(page, form, figures(form, rows));
  }
  writeFileSync(PAGE, page);
  return 0;
}
