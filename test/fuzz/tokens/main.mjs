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
import { machine } from "../../../bench/machine.mjs";
import { makeRandomPair } from "../../../bench/peers/random-pair.mjs";
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

const EMBEDDED = fileURLToPath(new URL("../../../models/tiny-gemma4/", import.meta.url));

await runCampaign({
  usage: "npm run fuzz:tokens -- [--pair embedded|23m] [--prompts N] [--tokens N] [--save]",
  options: {
    pair: { type: "string", default: "embedded" },
    prompts: { type: "string", default: "500" },
    tokens: { type: "string", default: "100" },
  },
  read({ pair, save, ...counts }) {
    const [prompts, tokens] = [counts.prompts, counts.tokens].map(wholeNumber);
    const known = ["embedded", "23m"].includes(pair) && prompts > 0 && tokens > 0;
    return known ? { pair, prompts, tokens, save } : undefined;
  },
  run: (flags) => withTypeScript(new URL("tokens.ts", import.meta.url), (module) => main(module, flags)),
});

async function main({ compareTokens }, { pair, prompts, tokens, save }) {
  const about = machine();
  const work = mkdtempSync(join(tmpdir(), "mlx-gemma-tokens-"));
  const start = performance.now();
  const tell = teller(10_000);
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
      onPrompt: (done) => tell(`${done} of ${prompts} prompts`, done === prompts),
    });
    const seconds = secondsSince(start);
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
      saveAndTell(`tokens-${pair}`, about, [row, ...rows]);
    }
    console.log(JSON.stringify({ what: "tokens", tried: sum("tokens"), failed: differing.length, seconds }));
    return differing.length > 0 ? 1 : 0;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function tableOf(rows) {
  const head = ["packing", "dtype", ...numbers("prompts", "tokens", "accepted", "differ")];
  const lines = rows.map(({ packing, dtype, prompts, tokens, accepted, proposed, differing }) => {
    const share = proposed > 0 ? `${((100 * accepted) / proposed).toFixed(0)}%` : "–";
    return [packing, dtype, String(prompts), String(tokens), share, String(differing.length)];
  });
  return plainTable(head, lines);
}
