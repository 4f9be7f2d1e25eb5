import { median } from "../quantiles.js";
import { groupKey } from "./plan.js";
import { checkSaved, type FileUse, fileError, readUserJson } from "./read-file.js";
import { type Comparison, type Report, type Row, reportSchema } from "./report.js";
import { discoveries, probabilityOfLower } from "./statistics.js";

const FILE: FileUse = { option: "--compare", expected: "what --save writes", maxBytes: 64 * 2 ** 20 };
/** Share of false alarms that is put up with among all that is found. */
const LEVEL = 0.05;
/** With fewer in both, not even the worst case is unlikely enough: of 3 and 3, it comes in 1 of 20. */
const MIN_REPETITIONS = 4;
/** Change of the measured bandwidth beyond which speeds are those of another machine. Between quiet runs it is some 10%. */
const OTHER_MACHINE = 0.25;

type Figure = Comparison["figures"][number];

/** The raw values of one figure, then and now. */
interface Samples extends Pick<Figure, "suite" | "context" | "sampling" | "draftTokens" | "figure"> {
  readonly before: readonly number[];
  readonly now: readonly number[];
}

/**
 * Reads what `--save` wrote.
 *
 * @throws MlxGemmaError `usage` for a file that can't be read or is no report of this version
 */
export function readReport(path: string): Report {
  return checkSaved(reportSchema, readUserJson(path, FILE), path, FILE);
}

/**
 * Refuses a report whose figures cannot be those of these settings.
 *
 * @throws MlxGemmaError `usage`
 */
export function checkComparable(path: string, before: Report, maxTokens: number): void {
  if (before.settings.maxTokens === maxTokens) return;
  throw fileError(
    FILE,
    path,
    `expected answers of --max-tokens ${maxTokens}, found ${before.settings.maxTokens}; give the same`,
  );
}

/**
 * Holds a report against an earlier one. A regression is a median that is lower by more than `tolerance`, and values so low
 * that chance is no explanation, all figures taken together (Mann–Whitney, Benjamini–Hochberg at 5%). Speeds are judged only
 * where the same machine's memory is read about as fast as then; speed-ups are ratios within a run and always are.
 */
export function compareReports(
  now: Pick<Report, "about" | "rows">,
  before: Report,
  { file, tolerance }: { readonly file: string; readonly tolerance: number },
): Comparison {
  const rows = new Map(before.rows.map((row) => [rowKey(row), row]));
  const matched = now.rows.flatMap((row) => {
    const earlier = rows.get(rowKey(row));
    return earlier ? [{ row, earlier }] : [];
  });
  const notes = machineNotes(now, before);
  const speedsJudged = notes.length === 0;
  const missing = now.rows.length - matched.length;
  if (missing > 0) notes.push(`${missing} of ${now.rows.length} rows are not in ${file}`);
  const samples = matched.flatMap(({ row, earlier }) => samplesOf(row, earlier));
  const few = samples.filter((one) => !enough(one)).length;
  if (few > 0)
    notes.push(`${few} figures are not judged: that takes ${MIN_REPETITIONS} repetitions in both runs`);
  return {
    file,
    date: before.about.date,
    tolerance,
    speedsJudged,
    notes,
    figures: judge(samples, tolerance, (figure) => speedsJudged || figure === "speed-up"),
  };
}

function judge(
  all: readonly Samples[],
  tolerance: number,
  judged: (figure: Figure["figure"]) => boolean,
): Figure[] {
  const tested = all.filter((one) => judged(one.figure) && enough(one));
  const lower = new Map(tested.map((one) => [one, probabilityOfLower(one.now, one.before)]));
  const found = discoveries([...lower.values()], LEVEL);
  const higher = discoveries(
    tested.map(({ before, now }) => probabilityOfLower(before, now)),
    LEVEL,
  );
  return all.map((one) => {
    const { before, now, ...names } = one;
    const place = tested.indexOf(one);
    const change = median(now) / median(before) - 1;
    const finding =
      place === -1
        ? "not judged"
        : change < -tolerance && found[place]
          ? "regression"
          : change > tolerance && higher[place]
            ? "improvement"
            : "no change beyond the tolerance";
    return {
      ...names,
      before: median(before),
      now: median(now),
      change,
      probability: lower.get(one) ?? null,
      finding,
    };
  });
}

function enough({ before, now }: Samples): boolean {
  return Math.min(before.length, now.length) >= MIN_REPETITIONS;
}

function samplesOf(row: Row, earlier: Row): Samples[] {
  const { suite, context, sampling, draftTokens } = row;
  const pick = (figure: Figure["figure"], key: "decodeTokensPerSecond" | "speedUp"): Samples => ({
    suite,
    context,
    sampling,
    draftTokens,
    figure,
    before: earlier.samples.map(({ [key]: value }) => value),
    now: row.samples.map(({ [key]: value }) => value),
  });
  const speed = pick("tok/s", "decodeTokensPerSecond");
  return draftTokens === 0 ? [speed] : [speed, pick("speed-up", "speedUp")];
}

/** Why speeds of then and now can't be compared; none: they can. */
function machineNotes(now: Pick<Report, "about">, before: Report): string[] {
  const [a, b] = [before.about, now.about];
  for (const key of ["cpu", "kernels", "device"] as const) {
    if (a[key] !== b[key]) return [`speeds are not judged: ${key} was ${a[key]}, is ${b[key]}`];
  }
  const change = b.readBandwidth / a.readBandwidth - 1;
  if (Math.abs(change) <= OTHER_MACHINE) return [];
  const how = `${Math.round(Math.abs(change) * 100)}% ${change < 0 ? "slower" : "faster"}`;
  return [`speeds are not judged: memory is read ${how} than then, the machine is in another state`];
}

function rowKey(row: Row): string {
  return `${groupKey(row)} ${row.draftTokens}`;
}
