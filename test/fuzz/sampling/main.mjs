#!/usr/bin/env node
// Drafted texts against the target's own distribution: every combination of cuts with every K.
//
//   npm run fuzz:sampling -- [--seeds 1000] [--save]
//
// Progress on stderr, the smallest p-values on stdout, corrected over all tests by Holm. Exit code 1 where one is below
// 0.01, 2 where the words are wrong. --save writes the rows to bench/results/reliability/.
import { parseArgs } from "node:util";
import { Chalk } from "chalk";
import { saveRows } from "../../../bench/lib/save-rows.mjs";
import { machine } from "../../../bench/machine.mjs";
import { columnsTable } from "../../../dist/cli/ui/columns.js";
import { withTypeScript } from "../../../scripts/import-typescript.mjs";

const ALPHA = 0.01;
const SHOWN = 8;

const flags = flagsOf(process.argv.slice(2));
if (flags) {
  process.exitCode = await withTypeScript(new URL("sampling.ts", import.meta.url), (module) =>
    main(module, flags),
  );
} else {
  process.stderr.write("usage: npm run fuzz:sampling -- [--seeds N] [--save]\n");
  process.exitCode = 2;
}

function flagsOf(args) {
  try {
    const { values } = parseArgs({
      args,
      options: { seeds: { type: "string", default: "1000" }, save: { type: "boolean", default: false } },
    });
    return /^[1-9]\d{0,6}$/.test(values.seeds)
      ? { seeds: Number(values.seeds), save: values.save }
      : undefined;
  } catch {
    return undefined;
  }
}

async function main({ CUTS, DRAFTS, compareDistributions }, { seeds, save }) {
  const about = machine();
  const start = performance.now();
  const cells = CUTS.flatMap((cuts) => DRAFTS.map((draftTokens) => ({ ...cuts, draftTokens })));
  const rows = await compareDistributions(cells, {
    seeds,
    onCell: (done) => process.stderr.write(`${done} of ${cells.length} settings\n`),
  });
  const seconds = Math.round((performance.now() - start) / 1000);
  const sorted = rows.toSorted((a, b) => a.p - b.p);
  const wrong = sorted.filter(({ corrected }) => corrected < ALPHA);
  console.log(tableOf(sorted.slice(0, Math.max(SHOWN, wrong.length))));
  console.log(
    `${rows.length} tests of ${cells.length} settings, ${seeds} texts each, in ${seconds} s: ${wrong.length} below ${ALPHA} after Holm's correction`,
  );
  if (save) {
    const smallest = sorted[0];
    const row = { what: "sampling", tests: rows.length, settings: cells.length, seeds, wrong: wrong.length };
    const path = saveRows("reliability/sampling", about, [{ ...row, seconds, smallest }, ...rows]);
    process.stderr.write(`rows: ${path}.jsonl\n`);
  }
  console.log(JSON.stringify({ what: "sampling", tried: rows.length, failed: wrong.length, seconds }));
  return wrong.length > 0 ? 1 : 0;
}

function tableOf(rows) {
  const names = ["temperature", "top-k", "top-p", "min-p", "K", "chi-square", "degrees", "p", "corrected"];
  const head = [{ head: "words" }, ...names.map((name) => ({ head: name, right: true }))];
  const lines = rows.map((row) => [
    row.words,
    ...[row.temperature, row.topK, row.topP, row.minP, row.draftTokens].map(String),
    row.statistic.toFixed(1),
    String(row.degrees),
    row.p.toPrecision(3),
    row.corrected.toPrecision(3),
  ]);
  return columnsTable(head, lines, {
    chalk: new Chalk({ level: 0 }),
    columns: Number.POSITIVE_INFINITY,
  });
}
