import type { DraftTokens } from "../../options.js";
import { html, type Markup } from "./markup.js";

// Charts are as wide as a phone, so that their text keeps its size there; a page sets them side by side where it has room.
const WIDTH = 320;

/** A chart with its heading. What it shows is told in `label` to those who can't see it. */
function chart(title: string, label: string, height: number, content: readonly Markup[]): Markup {
  return html`<div>
<h3>${title}</h3>
<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${label}">${content}</svg>
</div>
`;
}

export function charts(all: readonly Markup[]): Markup {
  return html`<div class="charts">${all}</div>`;
}

/** A value with its interval at one K. */
export interface IntervalPoint {
  readonly draftTokens: DraftTokens;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly kind: "faster" | "slower" | "unsure";
}

const PLOT = { left: 34, right: 314, top: 18, bottom: 160, height: 184 } as const;

/** More points than these leave no room for their values. */
const WITH_VALUES = 7;

/** Speed-ups with their intervals by K, from left to right; a dashed line where nothing is gained. */
export function intervalChart(title: string, points: readonly IntervalPoint[]): Markup {
  const top = Math.max(1, ...points.map(({ high }) => high));
  const y = scale(top, PLOT.bottom, PLOT.top);
  const slots = slotsOf(points.length);
  const marks = points.map(({ draftTokens, value, low, high, kind }, index) => {
    const x = round(slots(index));
    const written =
      points.length <= WITH_VALUES
        ? html`<text x="${round(x + 8)}" y="${round(y(value) + 4)}">${value.toFixed(2)}</text>`
        : undefined;
    return html`<line class="interval" x1="${x}" x2="${x}" y1="${y(low)}" y2="${y(high)}"/>
<circle class="point ${kind}" cx="${x}" cy="${y(value)}" r="4"/>
${written}${under(x, draftTokens)}`;
  });
  const label = points
    .map(
      ({ draftTokens, value, low, high }) =>
        `K = ${draftTokens}: ${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`,
    )
    .join("; ");
  return chart(title, label, PLOT.height, [
    ...gridLines(ticksUpTo(top), y, (tick) => `${tick}x`),
    axisName("K"),
    html`<line class="reference" x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(1)}" y2="${y(1)}"/>`,
    ...marks,
  ]);
}

/** Shares of 1, a bar each. */
export function shareChart(title: string, shares: readonly number[]): Markup {
  const y = scale(1, PLOT.bottom, PLOT.top);
  const slots = slotsOf(shares.length);
  const width = Math.min(36, (0.7 * (PLOT.right - PLOT.left)) / shares.length);
  const bars = shares.map((share, index) => {
    const x = slots(index);
    return html`<rect class="bar" x="${round(x - width / 2)}" y="${y(share)}" width="${round(width)}" height="${round(PLOT.bottom - y(share))}"/>
<text x="${round(x)}" y="${round(y(share) - 4)}" text-anchor="middle">${Math.round(100 * share)}</text>
${under(x, index + 1)}`;
  });
  const label = shares.map((share, index) => `place ${index + 1}: ${Math.round(100 * share)}%`).join("; ");
  const grid = gridLines([0, 0.5, 1], y, (tick) => `${100 * tick}%`);
  return chart(title, label, PLOT.height, [...grid, axisName("place"), ...bars]);
}

export const PARTS = ["draft", "verify", "accept", "rest"] as const;

/** A round's milliseconds by part. */
export interface PartsBar {
  readonly name: string;
  readonly parts: Readonly<Record<(typeof PARTS)[number], number>>;
  /** Stands below the bar. */
  readonly note: string;
}

const ROW = { left: 4, right: 316, height: 44, bar: 14 } as const;

/** Times by part, a bar each, from top to bottom. */
export function partsChart(title: string, bars: readonly PartsBar[]): Markup {
  const totals = bars.map(({ parts }) => totalOf(parts));
  const x = scale(Math.max(...totals, 1e-9), ROW.left, ROW.right);
  const rows = bars.map(({ name, parts, note }, index) => {
    const top = index * ROW.height;
    return html`<text x="${ROW.left}" y="${top + 12}">${name}</text>
<text class="soft" x="${ROW.right}" y="${top + 12}" text-anchor="end">${note}</text>
${segments(parts, x, top + 17, ROW.bar)}`;
  });
  const label = bars
    .map(({ name, parts, note }) => {
      const all = PARTS.map((part) => `${part} ${parts[part].toFixed(2)} ms`);
      return `${name}: ${all.join(", ")}; ${note}`;
    })
    .join(". ");
  return chart(title, label, Math.max(1, bars.length) * ROW.height, rows);
}

/** The parts of one bar, one after the other. */
export function segments(
  parts: PartsBar["parts"],
  x: (value: number) => number,
  y: number,
  height: number,
): readonly Markup[] {
  let from = 0;
  return PARTS.map((part) => {
    const begin = x(from);
    from += Math.max(0, parts[part]);
    return html`<rect class="${part}" x="${begin}" y="${y}" width="${round(x(from) - begin)}" height="${height}"/>`;
  });
}

export function totalOf(parts: PartsBar["parts"]): number {
  return PARTS.reduce((sum, part) => sum + Math.max(0, parts[part]), 0);
}

/** What stands below the axis at `x`. */
function under(x: number, name: number | string): Markup {
  return html`<text x="${round(x)}" y="${PLOT.bottom + 16}" text-anchor="middle">${name}</text>`;
}

/** What the numbers below the axis are. */
function axisName(name: string): Markup {
  return html`<text class="soft" x="${PLOT.left - 5}" y="${PLOT.bottom + 16}" text-anchor="end">${name}</text>`;
}

function gridLines(
  ticks: readonly number[],
  y: (value: number) => number,
  name: (tick: number) => string,
): readonly Markup[] {
  return ticks.map(
    (tick) => html`<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(tick)}" y2="${y(tick)}"/>
<text class="soft" x="${PLOT.left - 5}" y="${round(y(tick) + 4)}" text-anchor="end">${name(tick)}</text>`,
  );
}

/** From 0 … `most` to coordinates. */
function scale(most: number, from: number, to: number): (value: number) => number {
  return (value) => round(from + ((to - from) * value) / most);
}

function slotsOf(count: number): (index: number) => number {
  return (index) => PLOT.left + ((PLOT.right - PLOT.left) * (index + 0.5)) / count - 6;
}

/** 0 and up to five more numbers that people count in. */
export function ticksUpTo(most: number): number[] {
  const power = 10 ** Math.floor(Math.log10(most));
  const step =
    [0.1, 0.2, 0.5, 1, 2].map((part) => part * power).find((size) => most / size <= 5) ?? 2 * power;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) =>
    Number((index * step).toPrecision(6)),
  );
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
