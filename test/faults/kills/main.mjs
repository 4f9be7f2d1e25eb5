#!/usr/bin/env node
// Commands that write files are ended by SIGKILL, again and again: before a change of a file, in the middle of one, or by the clock.
//
//   npm run faults:kills -- [--kills 200] [--seed N] [--only pull,quantize,chat,bench,generate] [--trial N] [--save]
//
// Kills of each. Progress on stderr, the counts on stdout, the last line a summary. Exit code 1 where something was lost, half written
// or left behind, or where the writer that writes in place was not found; 2 where the words are wrong. --trial begins at that one, to
// replay it with its seed. --save writes the rows to bench/results/reliability/.
import { machine } from "../../../bench/machine.mjs";
import {
  numbers,
  plainTable,
  runCampaign,
  saveAndTell,
  secondsSince,
  teller,
  wholeNumber,
} from "../../../scripts/campaign.mjs";
import { withTypeScript } from "../../../scripts/import-typescript.mjs";

const CONTROL = "in-place";
/** Kills in which the writer that writes in place must be found. */
const CONTROL_KILLS = 40;
const TELL_MS = 20_000;

await runCampaign({
  usage: "npm run faults:kills -- [--kills N] [--seed N] [--only NAMES] [--trial N] [--save]",
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    trial: { type: "string", default: "0" },
    only: { type: "string" },
  },
  read({ only, save, ...counts }) {
    const [kills, seed, from] = [counts.kills, counts.seed, counts.trial].map(wholeNumber);
    if ([kills, seed, from].some(Number.isNaN)) return undefined;
    return { kills, seed, from, only: only?.split(","), save };
  },
  run: (flags, wrong) =>
    withTypeScript(new URL("kills.ts", import.meta.url), (module) => main(module, flags, wrong)),
});

async function main({ campaign, SCENARIOS }, { kills, seed, from, only, save }, wrong) {
  const names = only ?? Object.keys(SCENARIOS);
  if (names.some((name) => !Object.hasOwn(SCENARIOS, name))) return wrong();
  const about = machine();
  const start = performance.now();
  const rows = [];
  const tell = teller(TELL_MS);
  for (const name of names) {
    const row = await campaign(name, {
      kills: name === CONTROL ? Math.min(kills, CONTROL_KILLS) : kills,
      seed,
      from,
      onTrial: ({ scenario, killed, seconds }) =>
        tell(`${scenario}: ${killed} of ${kills} kills, ${seconds} s`),
    });
    rows.push(row);
    for (const { index, kills: planned, what } of row.failures) {
      const known = name === CONTROL ? "found, as planted" : "FOUND";
      console.log(`${known}: ${name}, trial ${index}, ${JSON.stringify(planned)}: ${what}`);
      if (name !== CONTROL)
        console.log(`  npm run faults:kills -- --seed ${seed} --only ${name} --trial ${index} --kills 1`);
    }
  }
  console.log(tableOf(rows));
  const real = rows.filter(({ scenario }) => scenario !== CONTROL);
  const control = rows.find(({ scenario }) => scenario === CONTROL);
  const missed = control && control.failures.length === 0 ? 1 : 0;
  if (missed) console.log(`NOT FOUND: the writer that writes in place, in ${control.killed} kills`);
  const sum = (key) => real.reduce((total, row) => total + row[key], 0);
  const failed = real.reduce((total, { failures }) => total + failures.length, missed);
  const seconds = secondsSince(start);
  const summary = { what: "kills", seed, tried: sum("killed"), failed, seconds };
  if (save) saveAndTell("kills", about, [summary, ...rows]);
  console.log(JSON.stringify(summary));
  return failed > 0 ? 1 : 0;
}

function tableOf(rows) {
  const counts = numbers("killed", "at a step", "of steps", "done before", "healed", "failures", "s");
  const lines = rows.map((row) =>
    [
      row.scenario,
      row.killed,
      row.atStep,
      row.steps,
      row.finished,
      row.healed,
      row.failures.length,
      row.seconds,
    ].map(String),
  );
  return plainTable(["scenario", ...counts], lines);
}
