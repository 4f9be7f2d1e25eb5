#!/usr/bin/env node
// Never slower: the time of `--draft-tokens auto` against the best fixed K's, where costs and acceptance are known. A clock of
// its own: the machine does not matter.
//
//   node bench/draft-length.mjs [--tokens 2000] [--seeds 3] [--save]
//
// Prints the grid; --save writes its rows to bench/results/ and the curves to docs/images/draft-length.svg.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { withTypeScript } from "../scripts/import-typescript.mjs";
import { lineChart } from "./lib/line-chart.mjs";
import { saveRows } from "./lib/save-rows.mjs";
import { table } from "./lib/table.mjs";
import { machine } from "./machine.mjs";

/** Tokens of a first answer, for the regret. */
const LENGTHS = [50, 100, 200, 500, 1000, 2000];

const { values: flags } = parseArgs({
  options: {
    tokens: { type: "string", default: "2000" },
    seeds: { type: "string", default: "3" },
    save: { type: "boolean", default: false },
  },
});
const file = new URL("../test/speculative/simulation.ts", import.meta.url);
await withTypeScript(file, ({ grid, ACCEPTANCES, COSTS }) => {
  const seeds = Number(flags.seeds);
  const rows = grid(Number(flags.tokens), seeds);
  const costs = Object.keys(COSTS);
  const at = (name, acceptance) => rows.find((row) => row.costs === name && row.acceptance === acceptance);
  console.log(
    table(
      ["time ÷ best fixed K's (its K)", ...ACCEPTANCES.map(String)],
      costs.map((name) => [
        name,
        ...ACCEPTANCES.map((a) => `${at(name, a).ratio.toFixed(3)} (${at(name, a).best})`),
      ]),
    ),
  );
  const worst = (values) => Math.max(...values).toFixed(3);
  const mean = Math.exp(rows.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) / rows.length);
  const hopeless = rows.filter(({ best }) => best === 0).map(({ againstPlain }) => againstPlain);
  console.log(
    `mean ${mean.toFixed(3)}, at worst ${worst(rows.map(({ ratio }) => ratio))}; where drafting cannot pay at worst ${worst(hopeless)} x plain`,
  );
  if (!flags.save) return;
  const first = LENGTHS.map((tokens) => ({ tokens, rows: grid(tokens, seeds) }));
  const regret = first.flatMap(({ rows: own }) => own);
  const path = saveRows("draft-length", machine(), [
    ...rows,
    ...regret.map((row) => ({ ...row, first: true })),
  ]);
  const curves = (name) => ({
    label: name,
    points: ACCEPTANCES.map((acceptance) => [acceptance, at(name, acceptance).ratio]),
  });
  const byLength = (name) => ({
    label: name,
    points: first.map(({ tokens, rows: own }) => {
      const ratios = own.filter((row) => row.costs === name).map(({ ratio }) => Math.log(ratio));
      return [tokens, Math.exp(ratios.reduce((sum, r) => sum + r, 0) / ratios.length)];
    }),
  });
  const svg = lineChart("auto: time ÷ that of the best fixed K, which one knows only afterwards", [
    {
      label: `by acceptance, ${flags.tokens} tokens`,
      x: { name: "chance that a draft is right", ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] },
      y: { from: 0.98, to: 1.1, ticks: [0.98, 1, 1.03, 1.06, 1.1] },
      lines: costs.map(curves),
    },
    {
      label: "regret of a process's first answer, mean over acceptances",
      x: { name: "tokens of the answer", ticks: LENGTHS, log: true },
      y: { from: 0.98, to: 1.3, ticks: [1, 1.05, 1.1, 1.2, 1.3] },
      lines: costs.map(byLength),
    },
  ]);
  const image = fileURLToPath(new URL("../docs/images/draft-length.svg", import.meta.url));
  writeFileSync(image, svg);
  process.stderr.write(`rows: ${path}.jsonl\ncurves: ${image}\n`);
});
