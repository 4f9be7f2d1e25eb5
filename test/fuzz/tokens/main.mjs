#!/usr/bin/env node
// 50,000 tokens drafted against plain, over 500 prompts, in every dtype and packing.
//
//   npm run fuzz:tokens -- [--pair embedded|23m] [--prompts 500] [--tokens 100] [--save]
//
// `23m` is a random pair with a larger vocabulary and hidden size than the embedded one; half of its drafts are an
// oracle's, for a random assistant is hardly ever right. Progress on stderr, the table on stdout; exit code 1 where an
// answer differs, 2 where the words are wrong. --save writes a row to bench/results/reliability/.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Chalk } from "chalk";
import { saveRows } from "../../../bench/lib/save-rows.mjs";
import { machine } from "../../../bench/machine.mjs";
import { makeRandomPair } from "../../../bench/peers/random-pair.mjs";
import { columnsTable } from "../../../dist/cli/ui/columns.js";
import { withTypeScript } from "../../../scripts/import-typescript.mjs";

const EMBEDDED = fileURLToPath(new URL("../../../models/tiny-gemma4/", import.meta.url));
const USAGE = "usage: npm run fuzz:tokens -- [--pair embedded|23m] [--prompts N] [--tokens N] [--save]\n";

const flags = flagsOf(process.argv.slice(2));
if (flags) {
  process.exitCode = await withTypeScript(new URL("tokens.ts", import.meta.url), (module) =>
    main(module, flags),
  );
} else {
  process.stderr.write(USAGE);
  process.exitCode = 2;
}

function flagsOf(args) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        pair: { type: "string", default: "embedded" },
        prompts: { type: "string", default: "500" },
        tokens: { type: "string", default: "100" },
        save: { type: "boolean", default: false },
      },
    });
    const [prompts, tokens] = [values.prompts, values.tokens].map((text) =>
      /^\d{1,6}$/.test(text) ? Number(text) : 0,
    );
    const known = ["embedded", "23m"].includes(values.pair) && prompts > 0 && tokens > 0;
    return known ? { pair: values.pair, prompts, tokens, save: values.save } : undefined;
  } catch {
    return undefined;
  }
}

async function main({ compareTokens }, { pair, prompts, tokens, save }) {
  const about = machine();
  const work = mkdtempSync(join(tmpdir(), "mlx-gemma-tokens-"));
  const start = performance.now();
  let told = start;
  try {
    const folder = pair === "embedded" ? EMBEDDED : join(work, pair);
    if (pair !== "embedded") makeRandomPair(pair, folder);
    const rows = await compareTokens({
      target: join(folder, "target"),
      assistant: join(folder, "assistant"),
      work,
      prompts,
      tokens,
      kind: pair === "embedded" ? "text" : "random",
      onPrompt: (done) => {
        if (performance.now() - told < 10_000 && done < prompts) return;
        told = performance.now();
        process.stderr.write(`${done} of ${prompts} prompts\n`);
      },
    });
    const seconds = Math.round((performance.now() - start) / 1000);
    const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
    const differing = rows.flatMap((row) => row.differing);
    console.log(tableOf(rows));
    console.log(
      `${pair}: ${sum("tokens")} tokens over ${sum("prompts")} prompts in ${seconds} s, ${differing.length} answers differ from plain decoding`,
    );
    for (const line of differing) console.log(line);
    if (save) {
      const row = {
        what: "tokens",
        pair,
        prompts,
        tokens: sum("tokens"),
        differing: differing.length,
        seconds,
      };
      const path = saveRows(`reliability/tokens-${pair}`, about, [row, ...rows]);
      process.stderr.write(`rows: ${path}.jsonl\n`);
    }
    console.log(JSON.stringify({ what: "tokens", tried: sum("tokens"), failed: differing.length, seconds }));
    return differing.length > 0 ? 1 : 0;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function tableOf(rows) {
  const head = [{ head: "packing" }, { head: "dtype" }];
  const numbers = ["prompts", "tokens", "accepted", "differ"].map((name) => ({ head: name, right: true }));
  const lines = rows.map(({ packing, dtype, prompts, tokens, accepted, proposed, differing }) => {
    const share = proposed > 0 ? `${((100 * accepted) / proposed).toFixed(0)}%` : "–";
    return [packing, dtype, String(prompts), String(tokens), share, String(differing.length)];
  });
  const plain = { chalk: new Chalk({ level: 0 }), columns: Number.POSITIVE_INFINITY };
  return columnsTable([...head, ...numbers], lines, plain);
}
