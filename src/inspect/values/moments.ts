import { decodeRun, patternDtype, patternValues, readPatterns, type Values } from "./decode.js";
import type { Run } from "./encoding.js";

/** A run of values to be summed up, and where it stands in its tensor. */
export interface MomentsTask {
  readonly run: Run;
  /** Of the first value among those of the tensor. */
  readonly from: number;
  /** Length of a row; 0: channels are not told apart. */
  readonly columns: number;
}

/** Sums over a run of values. Those of several runs add up to those of the whole. */
export interface Moments {
  /** Finite ones. */
  values: number;
  zeros: number;
  nan: number;
  inf: number;
  min: number;
  max: number;
  sum: number;
  sumSquares: number;
  /**
   * How often each 16-bit pattern occurs: exact for the two formats of that width; other values stand under the upper
   * half of their float32 pattern.
   */
  readonly patterns: Uint32Array<ArrayBuffer>;
  readonly format: "bfloat16" | "float16";
  /** Sums of squares of each column. */
  readonly columns: Float64Array<ArrayBuffer>;
  /** Sums of squares of each row that the run touches. */
  readonly rows: Float64Array<ArrayBuffer>;
  readonly firstRow: number;
}

const PATTERNS = 65_536;

/** Sums up a run. */
export async function momentsOf(task: MomentsTask): Promise<Moments> {
  const format = patternDtype(task.run.encoded);
  if (format && task.run.encoded.kind === "plain") {
    return ofPatterns(await readPatterns(task.run.encoded.stored, task.run), format, task);
  }
  return ofValues(await decodeRun(task.run), task);
}

/** Sums of 16-bit floats: most are worked out from how often each pattern occurs. */
export function ofPatterns(
  data: Uint16Array,
  format: "bfloat16" | "float16",
  { from, columns }: Pick<MomentsTask, "from" | "columns">,
): Moments {
  const moments = empty(format, data.length, from, columns);
  const { patterns } = moments;
  if (columns === 0) {
    for (let i = 0; i < data.length; i++) count(patterns, data[i] ?? 0);
  } else {
    const squares = squaresOf(format);
    forEachRow(data.length, from, columns, (row, first, end, column) => {
      let sum = 0;
      for (let i = first, c = column; i < end; i++, c++) {
        const pattern = data[i] ?? 0;
        const square = squares[pattern] ?? 0;
        count(patterns, pattern);
        moments.columns[c] = (moments.columns[c] ?? 0) + square;
        sum += square;
      }
      moments.rows[row] = (moments.rows[row] ?? 0) + sum;
    });
  }
  const table = patternValues(format);
  for (let pattern = 0; pattern < PATTERNS; pattern++) {
    const times = patterns[pattern] ?? 0;
    if (times > 0) add(moments, table[pattern] ?? 0, times);
  }
  return moments;
}

/** Sums of any values. */
export function ofValues(data: Values, { from, columns }: Pick<MomentsTask, "from" | "columns">): Moments {
  const moments = empty("bfloat16", data.length, from, columns);
  const single = Float32Array.of(0);
  const upper = new Uint16Array(single.buffer, 2, 1);
  const one = (value: number): number => {
    single[0] = value;
    count(moments.patterns, upper[0] ?? 0);
    add(moments, value, 1);
    return Number.isFinite(value) ? value * value : 0;
  };
  if (columns === 0) for (let i = 0; i < data.length; i++) one(data[i] ?? 0);
  else {
    forEachRow(data.length, from, columns, (row, first, end, column) => {
      let sum = 0;
      for (let i = first, c = column; i < end; i++, c++) {
        const square = one(data[i] ?? 0);
        moments.columns[c] = (moments.columns[c] ?? 0) + square;
        sum += square;
      }
      moments.rows[row] = (moments.rows[row] ?? 0) + sum;
    });
  }
  return moments;
}

/** Adds the sums of one run to those of its tensor. */
export function mergeMoments(into: Moments, run: Moments): void {
  into.values += run.values;
  into.zeros += run.zeros;
  into.nan += run.nan;
  into.inf += run.inf;
  into.min = Math.min(into.min, run.min);
  into.max = Math.max(into.max, run.max);
  into.sum += run.sum;
  into.sumSquares += run.sumSquares;
  for (let i = 0; i < PATTERNS; i++) into.patterns[i] = (into.patterns[i] ?? 0) + (run.patterns[i] ?? 0);
  for (const [i, sum] of run.columns.entries()) into.columns[i] = (into.columns[i] ?? 0) + sum;
  for (const [i, sum] of run.rows.entries()) {
    const row = run.firstRow + i - into.firstRow;
    into.rows[row] = (into.rows[row] ?? 0) + sum;
  }
}

/** Sums of nothing yet, for a run or a tensor of so many values. */
export function empty(format: Moments["format"], values: number, from: number, columns: number): Moments {
  const firstRow = columns > 0 ? Math.floor(from / columns) : 0;
  const rows = columns > 0 && values > 0 ? Math.floor((from + values - 1) / columns) - firstRow + 1 : 0;
  return {
    values: 0,
    zeros: 0,
    nan: 0,
    inf: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    sum: 0,
    sumSquares: 0,
    patterns: new Uint32Array(PATTERNS),
    format,
    columns: new Float64Array(columns),
    rows: new Float64Array(rows),
    firstRow,
  };
}

function add(moments: Moments, value: number, times: number): void {
  if (Number.isNaN(value)) moments.nan += times;
  else if (!Number.isFinite(value)) moments.inf += times;
  else {
    moments.values += times;
    if (value === 0) moments.zeros += times;
    if (value < moments.min) moments.min = value;
    if (value > moments.max) moments.max = value;
    moments.sum += value * times;
    moments.sumSquares += value * value * times;
  }
}

function count(patterns: Uint32Array, pattern: number): void {
  patterns[pattern] = (patterns[pattern] ?? 0) + 1;
}

/** @param visit gets a row of the run, the places of its values in the run, and the column of the first */
function forEachRow(
  values: number,
  from: number,
  columns: number,
  visit: (row: number, first: number, end: number, column: number) => void,
): void {
  for (let first = 0, row = 0, column = from % columns; first < values; row++) {
    const end = Math.min(values, first + columns - column);
    visit(row, first, end, column);
    first = end;
    column = 0;
  }
}

const squareTables = new Map<Moments["format"], Float64Array>();

/** The square of each pattern's value; 0 for what is not finite. */
function squaresOf(format: Moments["format"]): Float64Array {
  const known = squareTables.get(format);
  if (known) return known;
  const made = Float64Array.from(patternValues(format), (value) =>
    Number.isFinite(value) ? value * value : 0,
  );
  squareTables.set(format, made);
  return made;
}
