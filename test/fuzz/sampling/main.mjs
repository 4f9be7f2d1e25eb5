#!/usr/bin/env node
// Drafted texts against the target's own distribution: every combination of cuts with every K.
//
//   npm run fuzz:sampling -- [--seeds 1000] [--save]
//
// Progress on stderr, the smallest p-values on stdout, corrected over all tests by Holm. Exit code 1 where one is below
// 0.01, 2 where the words are wrong. --save writes the rows to bench/results/reliability/.
import { machine } from "../../../bench/machine.mjs";
import {
  numbers,
  plainTable,
  runCampaign,
  saveAndTell,
  secondsSince,
  wholeNumber,
} from "../../../scripts/campaign.mjs";
import { withTypeScript } from "../../../scripts/import-typescript.mjs";

const ALPHA = 0.01;
const SHOWN = 8;

await runCampaign({
  usage: "npm run fuzz:sampling -- [--seeds N] [--save]",
  options: { seeds: { type: "string", default: "1000" } },
  read: ({ seeds, save }) => (wholeNumber(seeds) > 0 ? { seeds: Number(seeds), save } : undefined),
  run: (flags) => withTypeScript(new URL("sampling.ts", import.meta.url), (module) => main(module, flags)),
});

async function main({ CUTS, DRAFTS, compareDistributions }, { seeds, save }) {
  const about = machine();
  const start = performance.now();
  const cells = CUTS.flatMap((cuts) => DRAFTS.map((draftTokens) => ({ ...cuts, draftTokens })));
  const rows = await compareDistributions(cells, {
    seeds,
    onCell: (done) => process.stderr.write(`${done} of ${cells.length} settings\n`),
  });
  const seconds = secondsSince(start);
  const sorted = rows.toSorted((a, b) => a.p - b.p);
  const wrong = sorted.filter(({ corrected }) => corrected < ALPHA);
  console.log(tableOf(sorted.slice(0, Math.max(SHOWN, wrong.length))));
  console.log(
    `${rows.length} tests of ${cells.length} settings, ${seeds} texts each, in ${seconds} s: ${wrong.length} below ${ALPHA} after Holm's correction`,
  );
  if (save) {
    const smallest = sorted[0];
    const row = { what: "sampling", tests: rows.length, settings: cells.length, seeds, wrong: wrong.length };
    saveAndTell("sampling", about, [{ ...row, seconds, smallest }, ...rows]);
  }
  console.log(JSON.stringify({ what: "sampling", tried: rows.length, failed: wrong.length, seconds }));
  return wrong.length > 0 ? 1 : 0;
}

function tableOf(rows) {
  const names = ["temperature", "top-k", "top-p", "min-p", "K", "chi-square", "degrees", "p", "corrected"];
  const lines = rows.map((row) => [
    row.words,
    ...[row.temperature, row.topK, row.topP, row.minP, row.draftTokens].map(String),
    row.statistic.toFixed(1),
    String(row.degrees),
    row.p.toPrecision(3),
    row.corrected.toPrecision(3),
  ]);
  return plainTable(["words", ...numbers(...names)], lines);
}
