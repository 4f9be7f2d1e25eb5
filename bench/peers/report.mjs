// Figures from rows: medians, and ratios taken within a repetition.

import { median } from "../../dist/quantiles.js";
import { barChart } from "../lib/bar-chart.mjs";
import { table } from "../lib/table.mjs";
import { inWords } from "./compare-ids.mjs";
import { DRAFT_TOKENS } from "./measures.mjs";
import { MODELS } from "./models.mjs";
import { IMPLEMENTATIONS } from "./run-variant.mjs";

const OURS = IMPLEMENTATIONS[0];

/** Lines of a table: how a line's figure follows from the values of one repetition. */
const LINES = [
  { name: "plain, tok/s", of: (v) => v.plainTokensPerSecond, digits: 1, compared: true },
  {
    name: "plain ÷ read limit",
    of: (v, m) => (v.plainTokensPerSecond * m.perStep) / m.bandwidth,
    digits: 2,
  },
  {
    name: `drafted, K = ${DRAFT_TOKENS}, tok/s`,
    of: (v) => v.draftedTokensPerSecond,
    digits: 1,
    compared: true,
  },
  { name: "drafted ÷ plain", of: (v) => v.draftedTokensPerSecond / v.plainTokensPerSecond, digits: 2 },
  { name: "drafts accepted", of: (v) => v.acceptanceRate, digits: 2 },
  {
    name: `round, K = ${DRAFT_TOKENS} ÷ one step`,
    of: (v) => (v.roundMs * v.plainTokensPerSecond) / 1000,
    digits: 2,
  },
  { name: `verify of ${DRAFT_TOKENS + 1} rows ÷ one step`, of: (v) => v.verifyMs / v.stepMs, digits: 2 },
  { name: "draft step ÷ target step", of: (v) => v.draftMs / v.stepMs, digits: 3 },
  { name: "target step, ms", of: (v) => v.stepMs, digits: 2 },
  { name: "prefill of 512, tok/s", of: (v) => v.prefillTokensPerSecond, digits: 0, compared: true },
  { name: "load, ms", of: (v) => v.loadMs, digits: 0 },
  { name: "load ÷ reading our files once", of: (v, m) => v.loadMs / m.readMs, digits: 2 },
];

/** `{ title, names, lines }` of a variant: each line `[name, cell of each implementation]`. */
export function tableOf(variant) {
  const names = IMPLEMENTATIONS.filter((name) => variant.rows.some((row) => row.implementation === name));
  const lines = LINES.map((line) => [line.name, ...names.map((name) => cell(variant, line, name))]);
  return { title: titleOf(variant), names, lines };
}

const titleOf = ({ model, weights }) => `${MODELS[model].title}, ${weights}`;

function cell(variant, line, name) {
  const values = figures(variant, line, name);
  if (values.length === 0) return "–";
  const text = median(values.map(({ value }) => value)).toFixed(line.digits);
  if (!line.compared || name === OURS) return text;
  const ours = new Map(figures(variant, line, OURS).map(({ repetition, value }) => [repetition, value]));
  const ratios = values.flatMap(({ repetition, value }) =>
    ours.has(repetition) ? [ours.get(repetition) / value] : [],
  );
  return ratios.length === 0 ? text : `${text} (ours × ${median(ratios).toFixed(2)})`;
}

/** A line's values of one implementation, by repetition. */
function figures({ rows }, { of }, name) {
  const repetitions = [...new Set(rows.map((row) => row.repetition))];
  return repetitions.flatMap((repetition) => {
    const machine = rows.find((row) => row.repetition === repetition && row.measure === "machine");
    const own = rows.filter((row) => row.repetition === repetition && row.implementation === name);
    const values = Object.fromEntries(own.map((row) => [row.measure, row.value]));
    for (const { acceptanceRate } of own) if (acceptanceRate != null) values.acceptanceRate = acceptanceRate;
    const value = of(values, machine ?? {});
    return Number.isFinite(value) ? [{ repetition, value }] : [];
  });
}

/** What stands below a table: the machine, ids, and what could not be measured. */
export function remarksOf({ rows, notes, ids, llamaBench }) {
  const machines = rows.filter((row) => row.measure === "machine");
  const remarks = [];
  if (machines.length > 0) {
    const bandwidth = median(machines.map((row) => row.bandwidth));
    const { perStep } = machines[0];
    const limit = perStep
      ? `; a step reads ${(perStep / 1e6).toFixed(0)} MB: read limit ${(bandwidth / perStep).toFixed(0)} tok/s`
      : "";
    remarks.push(`read bandwidth ${(bandwidth / 1e9).toFixed(1)} GB/s${limit}`);
  }
  for (const [name, { plain, drafted }] of Object.entries(ids)) {
    if (plain) remarks.push(`ids, ${name} against ours: ${inWords(plain)}`);
    if (drafted) remarks.push(`ids, ${name} drafted against its own plain: ${inWords(drafted)}`);
  }
  if (llamaBench) remarks.push(llamaBench);
  return [...remarks, ...notes];
}

export function printed(variant) {
  const { title, names, lines } = tableOf(variant);
  return [title, table(["", ...names], lines), ...remarksOf(variant).map((line) => `  ${line}`), ""].join(
    "\n",
  );
}

export function markdown(variant) {
  const { title, names, lines } = tableOf(variant);
  const row = (cells) => `| ${cells.join(" | ")} |`;
  const rows = [row(["", ...names]), row(["", ...names].map(() => "---")), ...lines.map(row)];
  return [`### ${title}`, "", ...rows, "", ...remarksOf(variant).map((line) => `- ${line}`), ""].join("\n");
}

/** Plain and drafted tokens a second of every variant. */
export function plot(variants, title) {
  const groups = variants.flatMap((variant) =>
    LINES.filter(({ name }) => /^(plain|drafted),/.test(name)).map((line) => ({
      label: `${titleOf(variant)}: ${line.name}`,
      bars: tableOf(variant).names.flatMap((name) => {
        const values = figures(variant, line, name).map(({ value }) => value);
        return values.length > 0
          ? [{ label: name, value: median(values), text: median(values).toFixed(1) }]
          : [];
      }),
    })),
  );
  return barChart(
    title,
    groups.filter(({ bars }) => bars.length > 0),
  );
}
