import { basename } from "node:path";
import type { Figure, Report, Row } from "../../bench/report.js";
import { groupsOf } from "../../bench/verdict.js";
import {
  aboutLines,
  alignment,
  type BenchTable,
  benchTables,
  comparisonTable,
  conditionsLine,
} from "../ui/bench-tables.js";
import { charts, type IntervalPoint, intervalChart, PARTS, partsChart, shareChart } from "./charts.js";
import { partsLegend } from "./legend.js";
import { html, type Markup } from "./markup.js";
import { withNames } from "./names.js";
import { page, section } from "./page.js";

/** A bench as a page: the verdict, what it rests on, and every figure. */
export function benchPage(saved: Report): string {
  const report = { ...saved, settings: withNames(saved.settings) };
  const { settings, verdict, complete, comparison, rows, difference } = report;
  const unfinished =
    complete || difference
      ? undefined
      : html`<p class="note">Interrupted: the figures are of the repetitions that were whole.</p>`;
  const body = html`<h1>Does drafting pay?</h1>
<p class="verdict">${verdict.text}</p>
${unfinished}
${aboutLines(report).map((line) => html`<p class="facts">${line}</p>\n`)}
${rows.length > 0 ? [figures(rows), html`<p class="facts">${conditionsLine(report)}</p>`] : undefined}
${comparison ? compared(comparison) : undefined}
${rows.length > 0 ? allFigures(report) : undefined}`;
  return page(`mlx-gemma bench: ${settings.model}`, body);
}

function figures(rows: readonly Row[]): readonly Markup[] {
  const groups = groupsOf(rows).map(({ label, rows: own }) => ({
    label,
    all: own,
    drafted: own.filter(({ draftTokens }) => draftTokens !== 0),
  }));
  const drafted = groups.filter((group) => group.drafted.length > 0);
  const times = section(
    "Where a round's time goes",
    "Milliseconds of a round, medians; with them what a token costs.",
    [partsLegend(), charts(groups.map(({ label, all }) => partsChart(label, all.map(barOf))))],
  );
  if (drafted.length === 0) return [times];
  return [
    section(
      "Speed-up",
      "Decode speed against plain decoding (1x, dashed) by K, the number of draft tokens. The line is the 95% interval; a hollow point can't be told from 1x, or has too few repetitions.",
      charts(drafted.map((group) => intervalChart(group.label, group.drafted.map(pointOf)))),
    ),
    section(
      "Drafts accepted by place",
      "Share of the drafts at each place that were accepted, in percent, for the largest K.",
      charts(
        drafted.map(({ label, drafted: own }) => {
          const most = own.reduce((best, row) => (places(row) > places(best) ? row : best));
          return shareChart(`${label}, K = ${most.draftTokens}`, most.acceptanceByPosition);
        }),
      ),
    ),
    times,
  ];
}

/** Places of its drafts; auto, which may have any, comes last. */
function places({ draftTokens }: Row): number {
  return draftTokens === "auto" ? 0 : draftTokens;
}

function pointOf({ draftTokens, speedUp, finding }: Row): IntervalPoint {
  const [low, high] = speedUp.interval;
  const kind = finding === "faster" || finding === "slower" ? finding : "unsure";
  return { draftTokens, value: speedUp.median, low, high, kind };
}

function barOf({ draftTokens, msPerRound, tokensPerStep }: Row) {
  const middle = ({ median }: Figure) => median;
  const total = PARTS.reduce((sum, part) => sum + msPerRound[part].median, 0);
  return {
    name: draftTokens === 0 ? "plain" : `K = ${draftTokens}`,
    parts: {
      draft: middle(msPerRound.draft),
      verify: middle(msPerRound.verify),
      accept: middle(msPerRound.accept),
      rest: middle(msPerRound.rest),
    },
    note: `${total.toFixed(2)} ms ÷ ${tokensPerStep.toFixed(2)} = ${(total / tokensPerStep).toFixed(2)} ms a token`,
  };
}

function compared(comparison: NonNullable<Report["comparison"]>): Markup {
  const notes = comparison.notes.map((note) => html`<p class="facts">${note}</p>`);
  return section("Compared", "Against an earlier run.", [
    tableOf(comparisonTable({ ...comparison, file: basename(comparison.file) })),
    ...notes,
  ]);
}

function allFigures(report: Report): Markup {
  return html`<details>
<summary>All figures</summary>
${benchTables(report).map(tableOf)}
</details>`;
}

function tableOf({ title, head, rows }: BenchTable): Markup {
  const style = (index: number) => (alignment(head[index] ?? "") === "right" ? "number" : "text");
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${title}"><table>
<caption>${title}</caption>
<thead><tr>${head.map((name, index) => html`<th scope="col" class="${style(index)}">${name}</th>`)}</tr></thead>
<tbody>${rows.map(
    (cells) => html`<tr>${cells.map((cell, index) => html`<td class="${style(index)}">${cell}</td>`)}</tr>\n`,
  )}</tbody>
</table></div>`;
}
