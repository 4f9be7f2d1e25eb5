#!/usr/bin/env node
// A million tokens in one process: RSS, V8's heap, MLX's memory, array handles, open files and what a token costs, all flat.
//
//   npm run faults:long-run -- [--tokens 1000000] [--minutes N] [--threads 1] [--plant heap|handle|buffer] [--save]
//
// Progress on stderr, a row for each ninth of the run on stdout, the last line a summary. Exit code 1 where something grew
// or a greedy answer changed, 2 where the words are wrong. --minutes ends a run earlier. --plant leaks on purpose. --save
// writes all rows to bench/results/reliability/. Speed is told, not judged: other programs run, too.
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

/** Tokens of the longest generations. */
const MAX_TOKENS = 500;
/** A run of fewer is judged as that of test/memory.test.ts. */
const SHORT_TOKENS = 200_000;
const TELL_MS = 30_000;

await runCampaign({
  usage:
    "npm run faults:long-run -- [--tokens N] [--minutes N] [--threads N] [--plant heap|handle|buffer] [--save]",
  options: {
    tokens: { type: "string", default: "1000000" },
    minutes: { type: "string", default: "0" },
    threads: { type: "string", default: "1" },
    plant: { type: "string" },
  },
  read({ plant, save, ...counts }) {
    const [tokens, minutes, threads] = [counts.tokens, counts.minutes, counts.threads].map(wholeNumber);
    const known = [undefined, "heap", "handle", "buffer"].includes(plant);
    return known && tokens > 0 && minutes >= 0 && threads >= 0
      ? { tokens, minutes, threads, plant, save }
      : undefined;
  },
  run: (flags) => withTypeScript(new URL("long-run.ts", import.meta.url), (module) => main(module, flags)),
});

async function main({ judge, longRun, SHORT }, { tokens, minutes, threads, plant, save }) {
  const about = machine();
  const start = performance.now();
  const tell = teller(TELL_MS);
  const { lines, ended } = await longRun(
    { tokens, maxTokens: MAX_TOKENS, threads, plant },
    ({ total, rss, rssAnonymous, heapTotal }) => {
      if (total) {
        tell(
          `${total} of ${tokens} tokens, ${secondsSince(start)} s, RSS ${mib(rss)} MiB, ${mib(rssAnonymous - heapTotal)} of it neither V8's heap nor files`,
        );
      }
      return minutes > 0 && secondsSince(start) > minutes * 60 ? "enough" : undefined;
    },
  );
  const { rows, faults: found, rssSpread } = judge(lines, tokens < SHORT_TOKENS ? SHORT : {});
  const faults = ["0", "enough"].includes(ended) ? found : [...found, `the process ended with ${ended}`];
  const done = lines.findLast(({ at }) => at === "cycle")?.total ?? 0;
  console.log(tableOf(rows));
  for (const fault of faults) console.log(fault);
  console.log(`RSS ± ${(100 * rssSpread).toFixed(2)}% after warm-up`);
  const summary = { what: "long-run", tried: done, failed: faults.length, seconds: secondsSince(start) };
  if (save) {
    saveAndTell("long-run", about, [{ ...summary, threads, rssSpread, faults }, ...lines]);
  }
  console.log(JSON.stringify(summary));
  return faults.length > 0 ? 1 : 0;
}

function tableOf(rows) {
  const names = [
    "tokens",
    "RSS MiB",
    "as it is",
    "V8 heap",
    "MLX",
    "arrays",
    "tok/s",
    "CPU ms/tok",
    "tok/step",
  ];
  const lines = rows.map((row) => [
    String(row.tokens),
    ...[row.rss, row.rssAsItIs, row.heapUsed, row.active].map(mib),
    String(row.liveArrays),
    row.tokensPerSecond.toFixed(0),
    row.processorMsPerToken.toFixed(2),
    row.tokensPerStep.toFixed(2),
  ]);
  return plainTable(numbers(...names), lines);
}

function mib(bytes) {
  return (bytes / 2 ** 20).toFixed(1);
}
