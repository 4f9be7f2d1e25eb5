import type { DraftTokens } from "../options.js";
import { median } from "../quantiles.js";
import { rowsOfBlock } from "./generation.js";
import type { Finding, Row, Verdict } from "./report.js";
import { findingOf } from "./rows.js";
import { bootstrapInterval, type Interval } from "./statistics.js";

/** Rows of one suite, context and sampling, and what they are called. */
interface Group {
  readonly label: string;
  readonly rows: readonly Row[];
}

/** How one K does on all groups together. */
interface Score {
  readonly draftTokens: DraftTokens;
  /** Median over repetitions of the geometric mean of the groups' speed-ups. */
  readonly speedUp: number;
  readonly interval: Interval;
  readonly finding: Finding;
}

/**
 * Answers the question of a bench: does drafting pay, where, and with which K.
 *
 * @param complete whether all repetitions are in the rows
 */
export function verdictOf(rows: readonly Row[], complete = true): Verdict {
  const all = groupsOf(rows);
  if (all.length === 0) {
    return {
      kind: "nothing finished",
      draftTokens: null,
      text: "Nothing to tell: no repetition was finished.",
    };
  }
  // After an interruption the last suite may have plain rows alone.
  const groups = all.filter((group) => group.rows.some(({ draftTokens }) => draftTokens !== 0));
  const measured = scoresOf(groups);
  // The question is which K; auto is told beside it, and is the answer where it was measured alone.
  const fixed = measured.filter(({ draftTokens }) => draftTokens !== "auto");
  const scores = fixed.length > 0 ? fixed : measured;
  const best = largest(scores, ({ speedUp }) => speedUp);
  if (!best) {
    const speeds = all.map(
      ({ label, rows: [row] }) => `${row?.decodeTokensPerSecond.median.toFixed(1)} tok/s on ${label}`,
    );
    return { kind: "plain decoding only", draftTokens: null, text: `Plain decoding: ${speeds.join(", ")}.` };
  }
  const { draftTokens } = best;
  switch (best.finding) {
    case "faster":
      return {
        kind: "drafting pays",
        draftTokens,
        text: `${paysText(groups, best, scores)}${fixed.length > 0 ? autoText(groups) : ""}`,
      };
    case "too few repetitions to tell":
      return {
        kind: best.finding,
        draftTokens: null,
        text: `Too few repetitions to tell: ${listOf(groups, draftTokens)} at K = ${draftTokens}; ${complete ? "give --repetitions 5 or more" : "the bench was interrupted"}.`,
      };
    default:
      return elsewhere(groups, best);
  }
}

/** No K pays on all groups together: maybe on some, maybe it can't be told, maybe on none. */
function elsewhere(groups: readonly Group[], best: Score): Verdict {
  const bests = groups.flatMap(({ label, rows }) => {
    const row = bestRow(rows);
    return row ? [{ label, row }] : [];
  });
  const paying = bests.filter(({ row }) => row.finding === "faster");
  if (paying.length > 0) {
    const where = paying.map(({ label, row }) => `${label} (K = ${row.draftTokens}, ${speedUpText(row)})`);
    const rest = bests
      .filter(({ row }) => row.finding !== "faster")
      .map(
        ({ label, row }) =>
          `not ${row.finding === "slower" ? "" : "for certain "}on ${label}: ${speedUpText(row)}`,
      );
    return {
      kind: "drafting pays in part",
      draftTokens: null,
      text: `Drafting pays on ${where.join(" and ")}${rest.length > 0 ? `; ${rest.join("; ")}` : ""}.`,
    };
  }
  if (best.finding !== "slower") {
    return {
      kind: "too noisy to tell",
      draftTokens: null,
      text:
        `Too noisy to tell whether drafting pays: at K = ${best.draftTokens}, the best, ${listOf(groups, best.draftTokens)}; ` +
        "give more --repetitions, or a machine with less to do.",
    };
  }
  const { draftTokens } = best;
  return {
    kind: "drafting does not pay",
    draftTokens: null,
    text: `Drafting does not pay here: at K = ${draftTokens}, the best, ${listOf(groups, draftTokens)}; ${whyNot(groups, draftTokens)}.`,
  };
}

function paysText(groups: readonly Group[], best: Score, scores: readonly Score[]): string {
  const near = scores.filter(
    ({ draftTokens, interval }) => draftTokens !== best.draftTokens && overlap(interval, best.interval),
  );
  const ties =
    near.length > 0
      ? ` (${listed(near.map(({ draftTokens }) => String(draftTokens)))} as good within the noise)`
      : "";
  const others = groups.flatMap(({ label, rows }) => {
    const chosen = rows.find(({ draftTokens }) => draftTokens === best.draftTokens);
    const own = bestRow(rows);
    if (!chosen || !own || overlap(chosen.speedUp.interval, own.speedUp.interval)) return [];
    return [`for ${label} use K = ${own.draftTokens} (${speedUpText(own)})`];
  });
  return `${[`K = ${best.draftTokens} is best here${ties}: ${listOf(groups, best.draftTokens)}`, ...others].join("; ")}.`;
}

/** What the default came to, where it was measured. */
function autoText(groups: readonly Group[]): string {
  const list = listOf(groups, "auto");
  return list === "" ? "" : ` auto: ${list}.`;
}

/** The reason that is the same everywhere, in numbers of all groups together. */
function whyNot(groups: readonly Group[], k: DraftTokens): string {
  const rows = groups.flatMap(({ rows }) => rows.filter(({ draftTokens }) => draftTokens === k));
  const total = (of: (row: Row) => number) => rows.reduce((sum, row) => sum + of(row), 0);
  const proposed = total((row) => row.proposed);
  const acceptance = total((row) => row.accepted) / proposed;
  const needed = total((row) => (row.breakEvenAcceptance ?? 0) * row.proposed) / proposed;
  const cost = 1 + (needed * proposed) / total((row) => row.rounds.count);
  const round = `a round takes as long as ${cost.toFixed(1)} plain steps`;
  return needed > 1
    ? `the cost of a round is the reason: ${round} and gives at most ${rowsOfBlock(k)} tokens, so no acceptance could make it pay`
    : `acceptance is the reason: ${percent(acceptance)} of the drafts are accepted, and break-even is at ${percent(needed)}, as ${round}`;
}

function scoresOf(groups: readonly Group[]): Score[] {
  const ks = new Set(groups.flatMap(({ rows }) => rows.map(({ draftTokens }) => draftTokens)));
  return [...ks].flatMap((draftTokens) => {
    const rows = groups.flatMap((group) => group.rows.filter((row) => row.draftTokens === draftTokens));
    if (draftTokens === 0 || rows.length < groups.length) return [];
    const means = repetitionsIn(rows).map((number) =>
      geometricMean(rows.map((row) => speedUpIn(row, number))),
    );
    if (means.length === 0) return [];
    const interval = bootstrapInterval(means);
    return [
      {
        draftTokens,
        speedUp: median(means),
        interval,
        finding: findingOf(draftTokens, interval, means.length),
      },
    ];
  });
}

/** Repetitions that all rows have. */
function repetitionsIn(rows: readonly Row[]): number[] {
  const numbers = rows[0]?.samples.map(({ repetition }) => repetition) ?? [];
  return numbers.filter((number) =>
    rows.every(({ samples }) => samples.some(({ repetition }) => repetition === number)),
  );
}

function speedUpIn({ samples }: Row, number: number): number {
  return samples.find(({ repetition }) => repetition === number)?.speedUp ?? Number.NaN;
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Rows by suite, context and sampling, in the order in which they come. */
export function groupsOf(rows: readonly Row[]): Group[] {
  const groups = new Map<string, Row[]>();
  const label = labelsOf(rows);
  for (const row of rows) groups.set(label(row), [...(groups.get(label(row)) ?? []), row]);
  return [...groups].map(([name, own]) => ({ label: name, rows: own }));
}

type Named = Pick<Row, "suite" | "context" | "sampling">;

/** What a row's suite is called: with context and sampling where rows differ in them. */
export function labelsOf(rows: readonly Named[]): (row: Named) => string {
  const several = (key: "context" | "sampling") => new Set(rows.map((row) => row[key])).size > 1;
  const [contexts, samplings] = [several("context"), several("sampling")];
  return ({ suite, context, sampling }) =>
    [suite, ...(contexts ? [`at ${context}`] : []), ...(samplings ? [`(${sampling})`] : [])].join(" ");
}

/** Rows that drafted: those of a fixed K, or of auto where it was measured alone. */
function fixedOrAuto(rows: readonly Row[]): readonly Row[] {
  const drafted = rows.filter(({ draftTokens }) => draftTokens !== 0);
  const fixed = drafted.filter(({ draftTokens }) => draftTokens !== "auto");
  return fixed.length > 0 ? fixed : drafted;
}

function bestRow(rows: readonly Row[]): Row | undefined {
  return largest(fixedOrAuto(rows), ({ speedUp }) => speedUp.median);
}

function largest<T>(values: readonly T[], of: (value: T) => number): T | undefined {
  return values.reduce<T | undefined>(
    (best, value) => (best === undefined || of(value) > of(best) ? value : best),
    undefined,
  );
}

function overlap([lowA, highA]: Interval, [lowB, highB]: Interval): boolean {
  return lowA <= highB && lowB <= highA;
}

function listOf(groups: readonly Group[], k: DraftTokens): string {
  return groups
    .flatMap(({ label, rows }) => {
      const row = rows.find(({ draftTokens }) => draftTokens === k);
      return row ? [`${speedUpText(row)} on ${label}`] : [];
    })
    .join(", ");
}

/** `2.10x (1.90–2.21x)`, and whether that can't be told from 1. */
function speedUpText({ speedUp: { median: middle, interval }, finding }: Row): string {
  const doubt = finding === "too noisy to tell" ? `, ${finding}` : "";
  return `${middle.toFixed(2)}x (${interval[0].toFixed(2)}–${interval[1].toFixed(2)}x${doubt})`;
}

function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}

function listed(words: readonly string[]): string {
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words.join("");
}
