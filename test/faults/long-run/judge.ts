import { median } from "../../../src/quantiles.js";
import type { Cycle, Held, Line } from "./long-run.js";

/** What is ours, and is counted: it never differs. */
const EXACT = [
  "active",
  "cache",
  "liveArrays",
  "arrayBuffers",
  "resources",
  "files",
  "threads",
] as const satisfies (keyof Held)[];
/** Of a pair that is disposed nothing is left. */
const GIVEN_BACK = ["active", "cache", "liveArrays"] as const;
/** V8's heap: type feedback and compiled code settle late. A leak of 50 bytes a token is found in 20,000 tokens. */
const HEAP_ROOM = 2 ** 20;

export interface JudgeOptions {
  /** The part of the run after which it holds what it holds. */
  readonly warmUp?: number;
  /** How many medians of the rest are compared: one garbage collection more or less is no leak. */
  readonly parts?: number;
  /** How far RSS may lie from the middle of the least and the most of them. */
  readonly rssRoom?: number;
}

/** A short run's medians are those of two halves: each garbage collection weighs more than in a million tokens. */
export const SHORT: JudgeOptions = { warmUp: 1 / 3, parts: 2, rssRoom: 0.02 };

/** Medians of a part of the run. */
export interface Row {
  /** Of the run up to the part's end. */
  readonly tokens: number;
  readonly rss: number;
  readonly rssAsItIs: number;
  readonly heapUsed: number;
  readonly active: number;
  readonly liveArrays: number;
  readonly tokensPerSecond: number;
  readonly processorMsPerToken: number;
  readonly tokensPerStep: number;
}

export interface Verdict {
  readonly rows: readonly Row[];
  /** A sentence for each promise that was not kept. */
  readonly faults: readonly string[];
  /** ± of RSS, as a part of it. */
  readonly rssSpread: number;
}

/** Whether a long run stayed as it was. */
export function judge(
  lines: readonly Line[],
  { warmUp = 0.1, parts = 9, rssRoom = 0.01 }: JudgeOptions = {},
): Verdict {
  const cycles = lines.filter((line): line is Cycle => line.at === "cycle");
  const warm = cycles.slice(Math.ceil(cycles.length * warmUp));
  const rows = medians(warm, parts);
  const faults = [...whatDiffers(warm), ...whatStays(lines)];
  const differing = cycles.reduce((sum, line) => sum + line.differing, 0);
  if (differing > 0) faults.push(`${differing} greedy answers differ from the first ones`);
  const heap = rangeOf(rows.map(({ heapUsed }) => heapUsed));
  if (heap.most - heap.least > HEAP_ROOM) {
    faults.push(`heapUsed: expected flat within ${HEAP_ROOM} bytes, found ${heap.least} to ${heap.most}`);
  }
  const rss = rangeOf(rows.map((row) => row.rss));
  const rssSpread = (rss.most - rss.least) / (rss.most + rss.least);
  if (rssSpread > rssRoom) {
    faults.push(`rss: expected flat within ± ${100 * rssRoom}%, found ${rss.least} to ${rss.most}`);
  }
  return { rows, faults, rssSpread };
}

function whatDiffers(warm: readonly Cycle[]): string[] {
  const [first] = warm;
  if (!first) return ["the run is too short: nothing to judge after its warm-up"];
  return EXACT.flatMap((name) => {
    const other = warm.find((line) => line[name] !== first[name]);
    return other
      ? [`${name}: expected ${first[name]}, found ${other[name]} after ${other.total} tokens`]
      : [];
  });
}

function whatStays(lines: readonly Line[]): string[] {
  const start = lines.find(({ at }) => at === "start");
  const end = lines.find(({ at }) => at === "end");
  if (!start || !end) return [];
  return GIVEN_BACK.filter((name) => end[name] !== start[name]).map(
    (name) => `${name}: expected ${start[name]} after the pair was disposed, found ${end[name]}`,
  );
}

function medians(cycles: readonly Cycle[], parts: number): Row[] {
  const size = Math.max(1, Math.ceil(cycles.length / parts));
  const starts = cycles.flatMap((_, index) => (index % size === 0 ? [index] : []));
  return starts.map((from) => {
    const part = cycles.slice(from, from + size);
    const of = (value: (cycle: Cycle) => number) => median(part.map(value));
    return {
      tokens: part.at(-1)?.total ?? 0,
      rss: of(({ rss }) => rss),
      rssAsItIs: of(({ rssAsItIs }) => rssAsItIs),
      heapUsed: of(({ heapUsed }) => heapUsed),
      active: of(({ active }) => active),
      liveArrays: of(({ liveArrays }) => liveArrays),
      tokensPerSecond: of(({ tokens, ms }) => (1000 * tokens) / ms),
      processorMsPerToken: of(({ tokens, processorMs }) => processorMs / tokens),
      tokensPerStep: of(({ tokens, steps }) => tokens / steps),
    };
  });
}

function rangeOf(values: readonly number[]): { readonly least: number; readonly most: number } {
  return { least: Math.min(...values), most: Math.max(...values) };
}
