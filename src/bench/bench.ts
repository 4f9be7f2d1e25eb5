import type { LoadedPair } from "../load.js";
import { compareReports } from "./compare.js";
import { withLogits } from "./difference.js";
import { generationsOf, rowsOfBlock } from "./generation.js";
import { type MeasureOptions, measure } from "./measure.js";
import type { Plan } from "./plan.js";
import { type Difference, FORMAT, type Report, type ReportAbout, VERSION } from "./report.js";
import { rowsOf } from "./rows.js";
import type { StepBytes } from "./step-bytes.js";
import { verdictOf } from "./verdict.js";

export interface BenchOptions extends MeasureOptions {
  readonly about: ReportAbout;
  readonly settings: Report["settings"];
  readonly bytes: StepBytes;
  /** An earlier report to hold this one against. */
  readonly earlier?: { readonly report: Report; readonly file: string; readonly tolerance: number };
}

/** Measures a plan with a loaded pair and draws up the report; of an interrupted or failed one, of what there is. */
export async function bench(pair: LoadedPair, plan: Plan, options: BenchOptions): Promise<Report> {
  const { about, settings, bytes, earlier } = options;
  const { runs, complete, failure } = await measure(plan, generationsOf(pair), options);
  const rows = rowsOf(plan, runs, { bytes, readBandwidth: about.readBandwidth });
  const difference = failure ? await withLogits(pair, failure.job, failure.difference, failure.ids) : null;
  const report = {
    format: FORMAT,
    version: VERSION,
    about,
    settings,
    warnings: pair.warnings,
    exact: pair.exact,
    complete,
    rows,
    difference,
    verdict: difference ? failed(difference) : verdictOf(rows, complete),
    comparison: null,
  } as const;
  return earlier ? { ...report, comparison: compareReports(report, earlier.report, earlier) } : report;
}

function failed(difference: Difference): Report["verdict"] {
  const { suite, prompt, draftTokens, position, expected, found, logits } = difference;
  const token = (id: number | null) => (id === null ? "the end" : `token ${id}`);
  const both = (values: readonly [number, number]) =>
    values.map((value) => value.toPrecision(8)).join(" and ");
  const scores = logits
    ? `; their logits are ${both(logits.alone)} alone, ${both(logits.inBlock)} in a block of ${rowsOfBlock(draftTokens)}`
    : "";
  return {
    kind: "failed",
    draftTokens: null,
    text:
      `Failed: on ${suite}, prompt ${prompt}, K = ${draftTokens} wrote other ids than it had to: ` +
      `at position ${position} of the answer expected ${token(expected)}, found ${token(found)}${scores}.`,
  };
}
