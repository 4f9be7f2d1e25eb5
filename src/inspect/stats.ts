import { elements, type LogicalTensor, wholeOf } from "./logical.js";
import { headerFlaw, type Inspected } from "./open.js";
import type { Channels, Histogram, StatsView, ValueStats } from "./schema.js";
import { matching } from "./tensors.js";
import { patternValues } from "./values/decode.js";
import { RUN_VALUES, runAt } from "./values/encoding.js";
import { empty, type Moments, mergeMoments } from "./values/moments.js";
import { type Job, openPool, runJobs } from "./values/pool.js";

/** How values are read. */
export interface ReadingOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told how far it is. Bytes. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Instead of one for each core; 0: none beside this one. */
  readonly threads?: number | undefined;
}

/** Bounds of what channels are told apart, so that memory stays bounded whatever a shape says. */
const MOST_COLUMNS = 2 ** 20;
const MOST_ROWS = 2 ** 23;
/** Times the median channel's root mean square. */
const OUTLIER = 6;
const LARGEST = 8;
const BINS = 32;
/** Standard deviations around the mean that the histogram shows. */
const SHOWN = 4;

/**
 * Statistics of the values of every tensor that fits a pattern, packed ones as what they stand for.
 *
 * @throws MlxGemmaError `usage` for a pattern that fits none, `checkpoint` for a header with a flaw or a file that ends early, `aborted`
 */
export async function statsOf(
  inspected: Inspected,
  pattern: string | undefined,
  options: ReadingOptions = {},
): Promise<StatsView> {
  const { tensors, facts } = inspected;
  const chosen = matching(tensors, pattern, ({ name }) => name);
  for (const tensor of chosen) requireSound(inspected, tensor);
  const stats = await sumUp(chosen, { ...options, channels: true }, valueStats);
  return { view: "stats", checkpoint: facts, stats };
}

/** @throws MlxGemmaError the flaw of the header by which a tensor's values would be read */
export function requireSound(inspected: Inspected, tensor: LogicalTensor): void {
  const flaw = headerFlaw(inspected, tensor);
  if (flaw) throw flaw;
}

/**
 * Reads tensors whole.
 *
 * @param channels whether rows and columns are summed up, too
 * @param finish gets the sums of each; they are dropped after that, so that memory holds those of a few tensors
 */
export async function sumUp<T>(
  tensors: readonly LogicalTensor[],
  { channels, ...options }: ReadingOptions & { readonly channels: boolean },
  finish: (tensor: LogicalTensor, sums: Moments) => T,
): Promise<T[]> {
  const results = new Map<LogicalTensor, T>();
  const jobs = tensors.map((tensor): Job => {
    const whole = wholeOf(tensor);
    const columns = channels ? columnsOf(tensor.shape) : 0;
    let sums: Moments | undefined;
    let left = whole.values;
    return {
      values: whole.values,
      bytes: tensor.bytes,
      next(from) {
        const run = runAt(whole, from, RUN_VALUES);
        return { task: { run, from, columns }, values: run.values };
      },
      take(result, values) {
        if (!("patterns" in result)) return;
        sums ??= empty(result.format, whole.values, 0, columns);
        mergeMoments(sums, result);
        left -= values;
        if (left > 0) return;
        results.set(tensor, finish(tensor, sums));
        sums = undefined;
      },
    };
  });
  await readAll(jobs, options);
  return tensors.map((tensor) => results.get(tensor) ?? finish(tensor, empty("bfloat16", 0, 0, 0)));
}

/** Does jobs on a pool of their own, with progress. */
export async function readAll(
  jobs: readonly Job[],
  { signal, onProgress, threads }: ReadingOptions,
): Promise<void> {
  const total = jobs.reduce((sum, { bytes }) => sum + bytes, 0);
  const pool = openPool(total, threads);
  let done = 0;
  const onBytes = (bytes: number) => {
    done += bytes;
    onProgress?.(Math.min(done, total), total);
  };
  try {
    await runJobs(jobs, pool, onBytes, signal);
  } finally {
    await pool.close();
  }
}

/** Length of a row; 0 for what has no channels, or too many of them. */
function columnsOf(shape: readonly number[]): number {
  const columns = shape.at(-1) ?? 0;
  if (shape.length < 2 || columns === 0 || columns > MOST_COLUMNS) return 0;
  return elements(shape) / columns > MOST_ROWS ? 0 : columns;
}

function valueStats({ name, shape, dtype }: LogicalTensor, sums: Moments): ValueStats {
  const { values, zeros, nan, inf } = sums;
  const mean = sums.sum / values;
  const std = Math.sqrt(Math.max(0, sums.sumSquares / values - mean ** 2));
  const none = values === 0;
  return {
    name,
    shape: [...shape],
    dtype,
    values: values + nan + inf,
    min: none ? null : sums.min,
    max: none ? null : sums.max,
    mean: finite(mean),
    std: finite(std),
    zeros,
    nan,
    inf,
    channels: [
      ...channels("input", sums.columns, sums.rows.length),
      ...channels("output", sums.rows, sums.columns.length),
    ],
    histogram: none || !Number.isFinite(std) ? null : histogram(sums, mean, std),
  };
}

/** @param sums of squares of each channel, over `values` values */
function channels(axis: Channels["axis"], sums: Float64Array, values: number): Channels[] {
  if (sums.length < 2 || values === 0) return [];
  const rms = Float64Array.from(sums, (sum) => Math.sqrt(sum / values));
  const median = rms.toSorted()[sums.length >> 1] ?? 0;
  if (median === 0) return [{ axis, outliers: 0, largest: [] }];
  const outliers: { channel: number; ratio: number }[] = [];
  for (const [channel, value] of rms.entries()) {
    if (value > OUTLIER * median) outliers.push({ channel, ratio: value / median });
  }
  outliers.sort((a, b) => b.ratio - a.ratio || a.channel - b.channel);
  return [{ axis, outliers: outliers.length, largest: outliers.slice(0, LARGEST) }];
}

function histogram({ patterns, format, min, max }: Moments, mean: number, std: number): Histogram {
  const low = Math.max(min, mean - SHOWN * std);
  const high = Math.min(max, mean + SHOWN * std);
  const bins = Array.from({ length: BINS }, () => 0);
  const table = patternValues(format);
  let below = 0;
  let above = 0;
  for (const [pattern, times] of patterns.entries()) {
    const value = table[pattern] ?? Number.NaN;
    if (times === 0 || !Number.isFinite(value)) continue;
    // The pattern of a wider value is cut off, which may put it before the smallest.
    if (value < low && low > min) below += times;
    else if (value > high && high < max) above += times;
    else {
      const place = high > low ? Math.floor(((value - low) / (high - low)) * BINS) : 0;
      const bin = Math.min(BINS - 1, Math.max(0, place));
      bins[bin] = (bins[bin] ?? 0) + times;
    }
  }
  return { low, high, bins, below, above };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
