// Whether a long run stayed as it was: pure functions of the lines of child.mjs.

/** The part of a run after which it must hold what it holds. */
const WARM_UP = 0.1;
const MIB = 2 ** 20;
/** Medians of so many parts of the run are compared: one garbage collection more or less is no leak. */
const PARTS = 9;
/** What is ours, and is counted: it never differs. */
const EXACT = ["active", "cache", "liveArrays", "arrayBuffers", "resources", "files", "threads"];
/** V8's heap: type feedback and compiled code settle late, but a leak of 100 bytes a token is found in 20,000 tokens. */
const HEAP_ROOM = MIB;

/**
 * @param lines of child.mjs
 * @returns { rows, faults }: one row a part, and a sentence for each promise that was not kept
 */
export function judge(lines, { rssRoom = 0.01 } = {}) {
  const [start, end] = ["start", "end"].map((name) => lines.find(({ at }) => at === name));
  const cycles = lines.filter(({ at }) => at === "cycle");
  const warm = cycles.slice(Math.ceil(cycles.length * WARM_UP));
  const [first] = warm;
  const faults = [];
  for (const name of EXACT) {
    const other = warm.find((line) => line[name] !== first[name]);
    if (other)
      faults.push(`${name}: expected ${first[name]}, found ${other[name]} after ${other.total} tokens`);
  }
  if (end) {
    for (const name of ["active", "cache", "liveArrays"]) {
      if (end[name] !== start[name]) {
        faults.push(`${name}: expected ${start[name]} after the pair was disposed, found ${end[name]}`);
      }
    }
  }
  const differing = cycles.reduce((sum, line) => sum + line.differing, 0);
  if (differing > 0) faults.push(`${differing} greedy answers differ from the first ones`);
  const rows = partsOf(warm);
  const spread = (name) => {
    const values = rows.map((row) => row[name]);
    return { least: Math.min(...values), most: Math.max(...values) };
  };
  const heap = spread("heapUsed");
  if (heap.most - heap.least > HEAP_ROOM) {
    faults.push(`heapUsed: expected flat within ${HEAP_ROOM} bytes, found ${heap.least} to ${heap.most}`);
  }
  const rss = spread("rss");
  const middle = (rss.most + rss.least) / 2;
  const rssSpread = (rss.most - middle) / middle;
  if (rssSpread > rssRoom) {
    faults.push(`rss: expected flat within ± ${100 * rssRoom}%, found ${rss.least} to ${rss.most}`);
  }
  return { rows, faults, rssSpread };
}

/** Medians by part: what is held, and what a token costs. */
function partsOf(cycles) {
  const size = Math.max(1, Math.ceil(cycles.length / PARTS));
  const parts = [];
  for (let from = 0; from < cycles.length; from += size) parts.push(cycles.slice(from, from + size));
  return parts.map((part) => {
    const of = (value) => median(part.map(value));
    return {
      tokens: part.at(-1).total,
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

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
