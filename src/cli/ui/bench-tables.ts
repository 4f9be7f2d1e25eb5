import type { Figure, Report, Row } from "../../bench/report.js";
import { labelsOf } from "../../bench/verdict.js";
import { counted, size } from "../../units.js";
import { withShortHome } from "./home.js";

/** One table of a report, as texts. */
export interface BenchTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Names and findings to the left, numbers to the right. */
export function alignment(name: string): "left" | "right" {
  return ["suite", "figure", "finding", "1 … K"].includes(name) ? "left" : "right";
}

interface Column {
  readonly name: string;
  readonly cell: (row: Row) => string;
}

const percent = (share: number) => `${Math.round(100 * share)}%`;
const ms = (figure: Figure) => figure.median.toFixed(figure.median < 10 ? 2 : 1);
const speed = (value: number) => value.toFixed(value < 100 ? 1 : 0);
const drafted = (cell: (row: Row) => string) => (row: Row) => (row.draftTokens !== 0 ? cell(row) : "");

const SPEED: readonly Column[] = [
  { name: "tok/s", cell: ({ decodeTokensPerSecond: figure }) => speed(figure.median) },
  {
    name: "min–max",
    cell: ({ decodeTokensPerSecond: { min, max } }) => `${speed(min)}–${speed(max)}`,
  },
  { name: "n", cell: ({ repetitions }) => String(repetitions) },
  { name: "x plain", cell: drafted(({ speedUp }) => speedUp.median.toFixed(2)) },
  {
    name: "95%",
    cell: drafted(({ speedUp: { interval } }) => interval.map((end) => end.toFixed(2)).join("–")),
  },
  { name: "finding", cell: drafted(({ finding }) => finding) },
];

const DRAFTS: readonly Column[] = [
  { name: "accepted", cell: drafted(({ acceptanceRate }) => percent(acceptanceRate)) },
  {
    name: "break-even",
    cell: ({ breakEvenAcceptance: rate }) => (rate === null ? "" : rate > 1 ? "none" : percent(rate)),
  },
  { name: "tok/step", cell: ({ tokensPerStep }) => tokensPerStep.toFixed(2) },
  { name: "draft", cell: ({ msPerRound }) => ms(msPerRound.draft) },
  { name: "verify", cell: ({ msPerRound }) => ms(msPerRound.verify) },
  { name: "accept", cell: ({ msPerRound }) => ms(msPerRound.accept) },
  { name: "rest", cell: ({ msPerRound }) => ms(msPerRound.rest) },
];

const PLACES: readonly Column[] = [
  {
    name: "1 … K",
    cell: ({ acceptanceByPosition }) =>
      acceptanceByPosition.map((share) => String(Math.round(100 * share)).padStart(3)).join(" "),
  },
];

const WAITING: readonly Column[] = [
  { name: "prompt", cell: ({ promptTokensPerSecond: figure }) => speed(figure.median) },
  { name: "first", cell: ({ timeToFirstTokenMs }) => ms(timeToFirstTokenMs) },
  { name: "gap p50", cell: ({ gapMs }) => ms(gapMs.p50) },
  { name: "p95", cell: ({ gapMs }) => ms(gapMs.p95) },
  { name: "p99", cell: ({ gapMs }) => ms(gapMs.p99) },
  { name: "peak", cell: ({ peakMemoryBytes }) => size(peakMemoryBytes) },
  { name: "per token", cell: ({ memoryRead }) => size(memoryRead.bytesPerToken) },
  { name: "bandwidth", cell: ({ memoryRead }) => percent(memoryRead.share) },
];

/** The figures of a report in tables that fit 80 columns: how fast, why, and what it is like. */
export function benchTables({ rows }: Pick<Report, "rows">): BenchTable[] {
  const label = labelsOf(rows);
  const titled = (title: string, columns: readonly Column[], of: readonly Row[] = rows) => ({
    title,
    head: ["suite", "K", ...columns.map(({ name }) => name)],
    rows: of.map((row) => [label(row), String(row.draftTokens), ...columns.map(({ cell }) => cell(row))]),
  });
  const drafting = rows.filter(({ draftTokens }) => draftTokens !== 0);
  return [
    titled("Speed of decoding; K = 0 is plain", SPEED),
    titled("Drafts, and milliseconds of a round", DRAFTS),
    ...(drafting.length > 0 ? [titled("Drafts accepted by place, %", PLACES, drafting)] : []),
    titled("Prompt (tok/s), waiting (ms), and memory: peak, read, share of bandwidth", WAITING),
  ];
}

/** The comparison with an earlier run: what changed, or all that was judged where nothing did. */
export function comparisonTable(comparison: NonNullable<Report["comparison"]>): BenchTable {
  const label = labelsOf(comparison.figures);
  const digits = (figure: string, value: number) =>
    figure === "tok/s" ? speed(value) : `${value.toFixed(2)}x`;
  return {
    title: `Against ${comparison.file} (${comparison.date.slice(0, 10)}), tolerance ${percent(comparison.tolerance)}`,
    head: ["suite", "K", "figure", "then", "now", "change", "p", "finding"],
    rows: comparison.figures.map((one) => [
      label(one),
      String(one.draftTokens),
      one.figure,
      digits(one.figure, one.before),
      digits(one.figure, one.now),
      `${one.change < 0 ? "" : "+"}${percent(one.change)}`,
      one.probability === null ? "" : one.probability.toFixed(3),
      one.finding,
    ]),
  };
}

/** What was measured, on what: lines above the tables. */
export function aboutLines({ about, settings, exact }: Report): string[] {
  const { versions } = about;
  return [
    withShortHome(`${settings.model}, drafted by ${settings.assistant ?? "nobody"}; exact: ${exact}`),
    `${about.cpu}, ${counted(about.cores, "core")}, ${about.device}, ${about.kernels} kernels; memory is read at ${size(about.readBandwidth)}/s`,
    `mlx-gemma ${versions.mlxGemma}, MLX ${versions.mlx}, Node.js ${versions.node}; ${about.date}`,
    `answers of at most ${settings.maxTokens} tokens, ${counted(settings.repetitions, "repetition")}, plain and drafted in turn`,
  ];
}

/** What the machine was doing beside; one line. */
export function conditionsLine({ rows }: Pick<Report, "rows">): string {
  const sum = (of: (row: Row) => number | null) => rows.reduce((total, row) => total + (of(row) ?? 0), 0);
  const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`;
  const limited = sum(({ conditions }) => conditions.limitedMs);
  const stolen = sum(({ conditions }) => conditions.stolenMs);
  const hot = sum(({ conditions }) => conditions.overheated);
  return [
    `load average up to ${Math.max(0, ...rows.map(({ conditions }) => conditions.loadAverage)).toFixed(1)}`,
    ...(limited >= 100 ? [`${seconds(limited)} without a processor by a CPU limit`] : []),
    ...(stolen >= 100 ? [`${seconds(stolen)} of processor time taken by other machines`] : []),
    ...(hot > 0 ? [`cores slowed down for heat ${hot} times`] : []),
  ].join("; ");
}
