#!/usr/bin/env node
// Does drafting pay on a pair? Plain and drafted runs of the same prompts alternate in one process; figures are medians
// over repetitions and ratios within this run. Ids are compared: a difference is a failed benchmark.
//
//   node bench/drafting.mjs [--model F] [--draft assistant|F] [--draft-tokens 1,3,6] [--repetitions 5] [--max-tokens 200]
//                           [--dtype bf16|f16|f32] [--threads N] [--save]
//
// --save writes the raw rows, a JSON object a line, into bench/results/.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { generate, load } from "../dist/index.js";
import { saveRows } from "./lib/save-rows.mjs";
import { machine } from "./machine.mjs";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    draft: { type: "string", default: "assistant" },
    "draft-tokens": { type: "string", default: "1,3,6" },
    repetitions: { type: "string", default: "5" },
    "max-tokens": { type: "string", default: "200" },
    dtype: { type: "string" },
    threads: { type: "string", default: "0" },
    save: { type: "boolean", default: false },
  },
});
const lengths = flags["draft-tokens"].split(",").map(Number);
const repetitions = Number(flags.repetitions);
const maxTokens = Number(flags["max-tokens"]);

const prompts = (kind) =>
  JSON.parse(readFileSync(new URL(`../training/eval/prompts-${kind}.json`, import.meta.url), "utf8")).map(
    ({ prompt }) => prompt,
  );

const pair = await load({
  draft: flags.draft,
  threads: Number(flags.threads),
  ...(flags.model ? { model: flags.model } : {}),
  ...(flags.dtype ? { dtype: flags.dtype } : {}),
});
const suites = await Promise.all(
  ["chat", "prose"].map(async (suite) => ({
    suite,
    ids: await Promise.all(prompts(suite).map((text) => pair.encodePrompt(text, { raw: suite === "prose" }))),
  })),
);

const rows = [];
let differing = 0;
for (let repetition = 0; repetition <= repetitions; repetition++) {
  for (const { suite, ids } of suites) {
    const plain = await runSuite(ids, 0);
    for (const draftTokens of [0, ...lengths]) {
      const run = draftTokens === 0 ? plain : await runSuite(ids, draftTokens);
      if (JSON.stringify(run.tokenIds) !== JSON.stringify(plain.tokenIds)) differing++;
      const { tokenIds: _, ...figures } = run;
      // Repetition 0 warms up caches and clocks.
      if (repetition > 0) rows.push({ suite, draftTokens, repetition, ...figures });
    }
    process.stderr.write(`repetition ${repetition} of ${repetitions}, ${suite} done\n`);
  }
}
pair[Symbol.dispose]();
printTable();
if (flags.save) save();
if (differing > 0) {
  process.stderr.write(`${differing} drafted runs wrote other ids than plain decoding\n`);
  process.exitCode = 1;
}

/** All prompts of a suite, one after the other. */
async function runSuite(suite, draftTokens) {
  const sum = { tokens: 0, decodeMs: 0, promptMs: 0, steps: 0, proposed: 0, accepted: 0, perStep: 0 };
  const times = { draft: 0, verify: 0, accept: 0, rest: 0 };
  const tokenIds = [];
  for (const promptIds of suite) {
    for await (const event of generate(pair, { promptIds, draftTokens, maxTokens })) {
      if (event.type !== "end") continue;
      const { stats } = event;
      tokenIds.push(event.tokenIds);
      sum.tokens += Math.max(0, stats.tokens - 1);
      sum.decodeMs += (Math.max(0, stats.tokens - 1) * 1000) / (stats.tokensPerSecond || 1);
      sum.promptMs += (stats.promptTokens * 1000) / (stats.promptTokensPerSecond || 1);
      sum.steps += stats.targetSteps;
      sum.proposed += stats.proposed;
      sum.accepted += stats.accepted;
      sum.perStep += stats.tokensPerStep / suite.length;
      for (const part of Object.keys(times)) times[part] += stats.times[part];
    }
  }
  return {
    tokenIds,
    tokensPerSecond: (sum.tokens * 1000) / sum.decodeMs,
    tokensPerStep: sum.perStep,
    acceptanceRate: sum.proposed ? sum.accepted / sum.proposed : 0,
    msPerRound: sum.decodeMs / sum.steps,
    timesMs: times,
  };
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function printTable() {
  const table = new Table({
    head: [
      "suite",
      "K",
      "tok/s",
      "× plain (min … max)",
      "tokens/step",
      "accepted",
      "ms/round",
      "draft",
      "verify",
      "accept",
      "rest",
    ],
    style: { head: [], border: [] },
  });
  for (const { suite } of suites) {
    for (const draftTokens of [0, ...lengths]) {
      const own = rows.filter((row) => row.suite === suite && row.draftTokens === draftTokens);
      const ratios = own.map((row) => row.tokensPerSecond / plainOf(suite, row.repetition).tokensPerSecond);
      const time = median(own.map(({ timesMs: t }) => t.draft + t.verify + t.accept + t.rest));
      const share = (part) => `${Math.round((100 * median(own.map((row) => row.timesMs[part]))) / time)}%`;
      table.push([
        suite,
        draftTokens,
        median(own.map((row) => row.tokensPerSecond)).toFixed(0),
        draftTokens === 0
          ? "1"
          : `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} … ${Math.max(...ratios).toFixed(2)})`,
        median(own.map((row) => row.tokensPerStep)).toFixed(2),
        `${Math.round(100 * median(own.map((row) => row.acceptanceRate)))}%`,
        median(own.map((row) => row.msPerRound)).toFixed(2),
        ...["draft", "verify", "accept", "rest"].map(share),
      ]);
    }
  }
  console.log(table.toString());
}

function plainOf(suite, repetition) {
  return rows.find((row) => row.suite === suite && row.draftTokens === 0 && row.repetition === repetition);
}

function save() {
  const settings = {
    model: flags.model ?? "embedded",
    draft: flags.draft,
    dtype: flags.dtype ?? "own",
    maxTokens,
  };
  const path = saveRows("drafting", { ...machine(), ...settings, differing }, rows);
  process.stderr.write(`raw rows: ${path}.jsonl\n`);
}
