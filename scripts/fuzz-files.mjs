#!/usr/bin/env node
// `npm run fuzz:files`: hostile files by the million, one kind after the other, each in a process of its own on one core. The last
// lines count them; a finding is written into the corpus, where it is tried again by every `npm test`. Exit code 1 with a finding,
// or where a planted defect was not found.
//
//   --count N   inputs in all (default 1,000,000)
//   --seed N    other ones (default: the day)
//   --save      keeps the counts in bench/results/reliability/
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fuzz } from "../test/fuzz/files/fuzz.mjs";
import { CORPUS } from "../test/fuzz/files/targets.mjs";

const { values } = parseArgs({
  options: { count: { type: "string" }, seed: { type: "string" }, save: { type: "boolean" } },
});
const total = Number(values.count ?? 1_000_000);
const seed = Number(values.seed ?? Math.floor(Date.now() / 86_400_000));
/** A template is rendered in a worker of its own, which takes 30 ms. */
const SHARES = { header: 0.4, index: 0.198, config: 0.2, tokenizer: 0.2, template: 0.002 };
/** Inputs in which a planted defect must be found. */
const CONTROL = 20_000;

const started = performance.now();
const rows = [];
let wrong = 0;
for (const [target, share] of Object.entries(SHARES)) {
  const row = await fuzz(target, { seed, count: Math.ceil(total * share) });
  rows.push(shown(row));
  if (!row.finding) continue;
  wrong++;
  const { input, index, what } = row.finding;
  const name = `found-${createHash("sha256").update(input).digest("hex").slice(0, 12)}`;
  writeFileSync(join(CORPUS, target, name), input);
  console.log(`FOUND ${target} ${index}: ${what}\n  test/fuzz/corpus/${target}/${name}`);
}
for (const target of ["header-unchecked", "index-unchecked", "tokenizer-unchecked"]) {
  const row = await fuzz(target, { seed, count: CONTROL });
  rows.push({ ...shown(row), planted: true, found: row.finding !== undefined });
  if (row.finding) continue;
  wrong++;
  console.log(`NOT FOUND: the planted defect of ${target} in ${CONTROL} inputs`);
}
const tried = rows.filter(({ planted }) => !planted).reduce((sum, row) => sum + row.tried, 0);
if (values.save) await save();
console.log(`${tried} inputs, ${wrong} wrong`);
const seconds = Math.round((performance.now() - started) / 1000);
console.log(JSON.stringify({ what: "files", tried, failed: wrong, seconds }));
process.exitCode = wrong === 0 ? 0 : 1;

function shown({ finding, ...row }) {
  const line = { ...row, seconds: Math.round(row.seconds) };
  if (finding) line.finding = { index: finding.index, what: finding.what.split("\n")[0] };
  console.log(JSON.stringify(line));
  return line;
}

async function save() {
  const [{ saveRows }, { machine }] = await Promise.all([
    import("../bench/lib/save-rows.mjs"),
    import("../bench/machine.mjs"),
  ]);
  saveRows("reliability/files", machine(), [{ what: "files", seed, tried, wrong }, ...rows]);
}
