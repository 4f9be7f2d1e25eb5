#!/usr/bin/env node
// Whole generations on random pairs, drafted against plain: the nightly size of generation.test.ts.
//
//   npm run fuzz:generation -- [--runs 10000] [--minutes N] [--seed N] [--plant N] [--case JSON]
//                              [--against-transformers N] [--save]
//
// Progress on stderr, the table on stdout. Exit code 1 with the smallest case that fails and the command that replays
// it; 2 where the words are wrong. --minutes ends a run earlier. --plant plants a defect on purpose (0 … of PLANTS in planted.ts).
// --against-transformers also holds the plain ids of N cases against transformers' own; it needs a Python that has it:
// MLX_GEMMA_PYTHON, or the one on the path. --save writes a row to bench/results/reliability/.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { machine } from "../../../bench/machine.mjs";
import { Peer } from "../../../bench/peers/peer.mjs";
import {
  plainTable,
  runCampaign,
  saveAndTell,
  secondsSince,
  teller,
  wholeNumber,
} from "../../../scripts/campaign.mjs";
import { withTypeScript } from "../../../scripts/import-typescript.mjs";

/** A difference at a place where two tokens are nearer than this, in float64, is a tie. */
const TIE = 5e-3;

await runCampaign({
  usage:
    "npm run fuzz:generation -- [--runs N] [--minutes N] [--seed N] [--plant N] [--case JSON] [--against-transformers N] [--save]",
  options: {
    runs: { type: "string", default: "10000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    minutes: { type: "string", default: "0" },
    plant: { type: "string" },
    case: { type: "string" },
    "against-transformers": { type: "string", default: "0" },
  },
  read(values) {
    const flags = {
      runs: wholeNumber(values.runs),
      seed: wholeNumber(values.seed),
      minutes: wholeNumber(values.minutes),
      plant: values.plant === undefined ? undefined : wholeNumber(values.plant),
      peers: wholeNumber(values["against-transformers"]),
      case: values.case === undefined ? undefined : JSON.parse(values.case),
      save: values.save,
    };
    const counts = [flags.runs, flags.seed, flags.minutes, flags.peers, flags.plant ?? 0];
    return counts.some(Number.isNaN) ? undefined : flags;
  },
  run: (flags) => withTypeScript(new URL("campaign.ts", import.meta.url), (fuzz) => main(fuzz, flags)),
});

async function main(fuzz, { runs, minutes, seed, plant: index, case: one, peers, save }) {
  const plant = index === undefined ? undefined : fuzz.PLANTS[index];
  if (index !== undefined && !plant) {
    process.stderr.write(`--plant: expected 0 to ${fuzz.PLANTS.length - 1}, found ${index}\n`);
    return 2;
  }
  if (plant) process.stderr.write(`planted: ${plant.defect}: ${plant.place}\n`);
  if (one) return await replay(fuzz, one, plant);
  const about = machine();
  const start = performance.now();
  const tell = teller(10_000);
  const onCase = (done) => {
    const rate = (done * 1000) / (performance.now() - start);
    tell(`${done} of ${runs} cases, ${rate.toFixed(1)}/s`, done >= runs);
  };
  const { tally, failure } = await fuzz.campaign({ runs, minutes, seed, plant, onCase });
  const seconds = secondsSince(start);
  console.log(tableOf(tally));
  console.log(`seed ${seed}: ${tally.cases} cases in ${seconds} s, ${failure ? "one fails" : "all hold"}`);
  if (failure) {
    const word = index === undefined ? "" : ` --plant ${index}`;
    console.log(`\n${failure.message}\nthe smallest such case:`);
    console.log(`  npm run fuzz:generation --${word} --case '${JSON.stringify(failure.configuration)}'`);
  }
  const compared = peers > 0 && !failure ? await againstTransformers(fuzz, seed, peers) : undefined;
  if (save) {
    const axes = Object.fromEntries(
      [...tally.axes].map(([axis, counts]) => [axis, Object.fromEntries(counts)]),
    );
    const row = {
      what: "generation",
      seed,
      cases: tally.cases,
      failed: failure ? 1 : 0,
      seconds,
      failure,
      axes,
    };
    saveAndTell(`generation-${seed}`, about, [{ ...row, ...tally.sums, transformers: compared }]);
  }
  const failed = Number(failure !== undefined) + (compared?.differ ?? 0);
  console.log(JSON.stringify({ what: "generation", tried: tally.cases, failed, seconds }));
  return failed > 0 ? 1 : 0;
}

async function replay(fuzz, configuration, plant) {
  try {
    console.log(JSON.stringify(await fuzz.tryOut(configuration, plant), null, 2));
    console.log("the case holds");
    return 0;
  } catch (error) {
    console.log(error.stack ?? String(error));
    return 1;
  }
}

function tableOf({ axes, sums }) {
  const cases = [...axes].map(([axis, counts]) => {
    const sorted = [...counts].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
    return [axis, sorted.map(([value, count]) => `${value}: ${count}`).join(", ")];
  });
  const words = (name) => name.replace(/([A-Z]|\d+)/g, (part) => ` ${part.toLowerCase()}`);
  const totals = Object.entries(sums).map(([name, sum]) => [words(name), String(sum)]);
  return plainTable(["", "cases"], [...cases, ...totals]);
}

/** Plain greedy ids of text-only checkpoints in float32, against one transformers process that serves all of them. */
async function againstTransformers(fuzz, seed, count) {
  const script = fileURLToPath(new URL("../../../bench/peers/python/transformers_peer.py", import.meta.url));
  const python = process.env.MLX_GEMMA_PYTHON ?? "python3";
  const peer = new Peer("transformers", [python, script]);
  const result = { cases: 0, tokens: 0, ties: 0, differ: 0, version: undefined };
  try {
    for (let index = 0; index < count; index++) {
      const folder = mkdtempSync(join(tmpdir(), "mlx-gemma-fuzz-"));
      try {
        const ours = await fuzz.plainOnDisk(seed, index, folder);
        const { version } = await peer.ask({ op: "load", target: ours.folder, dtype: "f32", threads: 1 });
        const { ids } = await peer.ask({ op: "plain", prompt: ours.promptIds, tokens: ours.tokenIds.length });
        result.version = version;
        result.cases += 1;
        const at = ours.tokenIds.findIndex((id, place) => ids[place] !== id);
        result.tokens += at < 0 ? ids.length : at;
        if (at < 0) continue;
        if (ours.behind(at, ids[at]) < TIE) {
          result.ties += 1;
          continue;
        }
        result.differ += 1;
        console.log(`transformers writes ${ids[at]} instead of ${ours.tokenIds[at]} as token ${at}:`);
        console.log(`  ${JSON.stringify(ours.configuration)}`);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  } catch (error) {
    process.stderr.write(`transformers: ${error.message}; give MLX_GEMMA_PYTHON a Python that has it\n`);
    result.differ ||= 1;
  } finally {
    await peer.close();
  }
  const { cases, tokens, ties, differ, version } = result;
  console.log(
    `transformers ${version}: ${cases} cases, ${tokens} tokens the same, ${ties} ended at a tie, ${differ} differ`,
  );
  return result;
}
