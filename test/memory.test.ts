import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";

const CHILD = fileURLToPath(new URL("support/memory-child.mjs", import.meta.url));
const GENERATIONS = 40;
const TOKENS = 500;
/** Generations until the allocator has what it needs: half as many gave up to 10 MiB to a busy machine. */
const WARM_UP = 24;
const MIB = 1024 * 1024;
/** What the rest may add to RSS: 0.6 KB a token. */
const MOST_GROWTH = 8 * MIB;

interface Sample {
  readonly rss: number;
  readonly active: number;
  readonly liveArrays: number;
}

interface Report {
  readonly start: Sample;
  readonly samples: readonly Sample[];
  readonly end: Sample;
  readonly tokens: number;
  readonly accepted: number;
}

describe(`${GENERATIONS * TOKENS} drafted tokens in one process`, () => {
  let report: Report;

  // Text of the child is the report alone; what goes wrong there comes on stderr, with the error.
  beforeAll(async () => {
    const args = ["--expose-gc", CHILD, String(GENERATIONS), String(TOKENS)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    report = JSON.parse(stdout);
    expect(report).toMatchObject({ tokens: GENERATIONS * TOKENS });
    expect(report.accepted).toBeGreaterThan(report.tokens / 2);
    expect(report.samples).toHaveLength(GENERATIONS);
  }, 300_000);

  it("leave RSS flat after warm-up", () => {
    const warm = report.samples.slice(WARM_UP).map(({ rss }) => rss);
    const [first = 0] = warm;
    expect(Math.max(...warm) - first).toBeLessThan(MOST_GROWTH);
  });

  it("leave as many arrays and as much of MLX's memory as the first generation did", () => {
    const [first] = report.samples;
    expect(first?.active).toBeGreaterThan(20 * MIB);
    for (const { active, liveArrays } of report.samples) {
      expect({ active, liveArrays }).toEqual({ active: first?.active, liveArrays: first?.liveArrays });
    }
  });

  it("all come back when the pair is disposed", () => {
    expect(report.end.liveArrays).toBe(report.start.liveArrays);
    expect(report.end.active).toBe(report.start.active);
  });
});
