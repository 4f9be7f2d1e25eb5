#!/usr/bin/env node
// Pairs that are loaded, generate and are disposed, one after the other in one process: each gives back all that is ours.
//
//   npm run faults:cycles -- [--cycles 1000] [--plant pair|handle] [--save]
//
// Array handles and MLX's memory are those of the start after each cycle; buffers, open files and threads those after the
// warm-up. RSS is told, not judged. Progress on stderr, the last line is a summary. Exit code 1 where something grew or an answer
// changed, 2 where the words are wrong. --plant keeps a pair, or a handle, on purpose. --save writes the rows to
// bench/results/reliability/.
import { generate, load } from "mlx-gemma";
import { machine } from "../../../bench/machine.mjs";
import { addon } from "../../../dist/mlx/addon.js";
import { runCampaign, saveAndTell, secondsSince, teller, wholeNumber } from "../../../scripts/campaign.mjs";
import { held } from "../held.mjs";

/** Of a disposed pair nothing is left. */
const GIVEN_BACK = ["liveArrays", "active", "cache"];
/** Threads start and libraries load with the first pairs. */
const SETTLED = ["arrayBuffers", "files", "threads"];
const WARM_UP = 3;
const TELL_MS = 30_000;

await runCampaign({
  usage: "npm run faults:cycles -- [--cycles N] [--plant pair|handle] [--save]",
  options: { cycles: { type: "string", default: "1000" }, plant: { type: "string" } },
  read(values) {
    const cycles = wholeNumber(values.cycles);
    const known = [undefined, "pair", "handle"].includes(values.plant);
    return known && cycles > WARM_UP ? { ...values, cycles } : undefined;
  },
  run: main,
});

async function main({ cycles, plant, save }) {
  const about = save ? machine() : undefined;
  const start = performance.now();
  const before = await held();
  const [rows, kept] = [[], []];
  const tell = teller(TELL_MS);
  for (let cycle = 1; cycle <= cycles; cycle++) {
    const answer = await one(plant === "pair" ? kept : undefined);
    if (plant === "handle") kept.push(addon().fromInt32(Int32Array.of(1), [1]));
    rows.push({ cycle, answer, ...(await held()) });
    tell(`${cycle} of ${cycles} cycles, ${secondsSince(start)} s, RSS ${mib(rows.at(-1))} MiB`);
  }
  const faults = faultsOf(before, rows);
  for (const fault of faults) console.log(fault);
  console.log(
    `RSS ${mib(rows[WARM_UP - 1])} MiB after ${WARM_UP} cycles, ${mib(rows.at(-1))} MiB after ${cycles}`,
  );
  const summary = { what: "cycles", tried: cycles, failed: faults.length, seconds: secondsSince(start) };
  if (about) saveAndTell("cycles", about, [{ ...summary, faults }, ...rows]);
  console.log(JSON.stringify(summary));
  return faults.length > 0 ? 1 : 0;
}

/** Loads, answers and disposes. @param kept gets the pair instead, alive */
async function one(kept) {
  const pair = await load({ draft: "assistant", threads: 1 });
  const promptIds = await pair.encodePrompt("Tell me a story about a fox.");
  const ids = [];
  for await (const event of generate(pair, { promptIds, maxTokens: 8 }))
    if (event.type === "tokens") ids.push(...event.ids);
  if (kept) kept.push(pair);
  else pair[Symbol.dispose]();
  return ids.join(" ");
}

function faultsOf(before, rows) {
  const settled = rows[WARM_UP - 1];
  const firstOther = (name, expected, from) => {
    const other = rows.slice(from).find((row) => row[name] !== expected);
    return other ? [`${name}: expected ${expected}, found ${other[name]} after ${other.cycle} cycles`] : [];
  };
  return [
    ...GIVEN_BACK.flatMap((name) => firstOther(name, before[name], 0)),
    ...SETTLED.flatMap((name) => firstOther(name, settled[name], WARM_UP)),
    ...firstOther("answer", rows[0].answer, 0),
  ];
}

function mib({ rss }) {
  return (rss / 2 ** 20).toFixed(1);
}
