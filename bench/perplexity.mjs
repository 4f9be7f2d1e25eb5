#!/usr/bin/env node
// How well a target foresees a fixed text it was not trained on: the 20 held-out passages of training/eval, joined by
// empty lines. Each token is given (teacher forcing), in verify blocks, as drafts are checked.
//
//   node bench/perplexity.mjs [--model F] [--dtype bf16|f16|f32] [--rows 16] [--threads N] [--json]
//
// `training/check_perplexity.py` holds it against transformers; --json adds the token ids and the machine for it.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { load } from "../dist/load.js";
import { evaluate, fromInt32, readFloat32 } from "../dist/mlx/array.js";
import * as ops from "../dist/mlx/ops.js";
import { machine } from "./machine.mjs";

const PASSAGES = new URL("../training/eval/prompts-prose.json", import.meta.url);

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    dtype: { type: "string" },
    rows: { type: "string", default: "16" },
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
  },
});

const passages = JSON.parse(readFileSync(PASSAGES, "utf8"));
const text = passages.map(({ prompt }) => prompt).join("\n\n");

try {
  const pair = await load({ model: flags.model, dtype: flags.dtype, threads: Number(flags.threads) });
  const ids = await pair.encodePrompt(text, { raw: true });
  const perplexity = Math.exp(await meanNll(pair.target, ids, Number(flags.rows)));
  pair[Symbol.dispose]();
  const result = flags.json
    ? JSON.stringify({ machine: machine(), perplexity, ids })
    : `perplexity ${perplexity.toFixed(4)} over ${ids.length - 1} tokens`;
  process.stdout.write(`${result}\n`);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}

/** Mean of -log p(token | the tokens before it), in nats, over all but the first. */
async function meanNll(target, ids, rows) {
  const session = target.openSession(rows);
  let sum = 0;
  for (let begin = 0; begin + 1 < ids.length; begin += rows) {
    const given = ids.slice(begin, Math.min(begin + rows, ids.length - 1));
    const { logits } = session.step(fromInt32(Int32Array.from(given), [1, given.length]));
    const wide = ops.astype(logits, "float32");
    await evaluate([[wide, ...session.pending()]]);
    session.keep(given.length);
    const values = readFloat32(wide);
    for (const row of given.keys()) {
      const scores = values.subarray(row * target.vocabSize, (row + 1) * target.vocabSize);
      sum += logSumExp(scores) - scores[ids[begin + row + 1]];
    }
  }
  return sum / (ids.length - 1);
}

function logSumExp(scores) {
  const most = scores.reduce((a, b) => Math.max(a, b));
  return most + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - most), 0));
}
