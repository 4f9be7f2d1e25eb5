import { describe, expect, it } from "vitest";
import { type Cycle, judge, longRun, SHORT } from "./faults/long-run/long-run.js";

const CYCLES = 6;

// `npm run faults:long-run` is the same for a million tokens.
describe("a process that generates: greedy, sampled, plain, cached, traced, left early, aborted", () => {
  it("holds as much after 15,000 tokens as after 5,000, and writes the same", async () => {
    const { lines, ended } = await longRun({ cycles: CYCLES, maxTokens: 400, threads: 1 });
    expect(ended).toBe("0");
    const cycles = lines.filter((line): line is Cycle => line.at === "cycle");
    expect(cycles).toHaveLength(CYCLES);
    for (const { tokens, accepted } of cycles) {
      expect(tokens).toBeGreaterThan(2400);
      expect(accepted).toBeGreaterThan(tokens / 2);
    }
    // The weights are there, and all of it comes back.
    expect(cycles[0]?.active).toBeGreaterThan(20 * 2 ** 20);
    expect(lines.at(-1)).toMatchObject({ at: "end", active: 0, liveArrays: 0 });
    expect(judge(lines, SHORT).faults).toEqual([]);
  }, 600_000);

  it.each([
    ["handle", /^liveArrays: expected \d+, found \d+ after/],
    ["buffer", /^arrayBuffers: expected \d+, found \d+ after/],
    ["heap", /^heapUsed: expected flat within 1048576 bytes, found/],
  ])("that leaks a %s on purpose is found", async (plant, fault) => {
    const { lines } = await longRun({ cycles: CYCLES, maxTokens: 10, threads: 1, plant });
    expect(judge(lines, SHORT).faults).toContainEqual(expect.stringMatching(fault));
  });

  it.each<[string, Parameters<typeof madeUp>[0], RegExp]>([
    ["RSS that only grows", { rss: 7e6 }, /^rss: expected flat within ± 2%/],
    ["a file that stays open", { files: 1 }, /^files: expected 22, found 23 after/],
    ["MLX's memory", { active: 4 }, /^active: /],
    ["an answer that changes", { differing: 1 }, /^\d+ greedy answers differ/],
  ])("is judged by %s", (_, growth, fault) => {
    expect(judge(madeUp(growth), SHORT).faults).toContainEqual(expect.stringMatching(fault));
  });

  it("passes where nothing grows", () => {
    expect(judge(madeUp({}), SHORT).faults).toEqual([]);
  });
});

/** Cycles as the child tells them, of which one figure grows. */
function madeUp(growing: Partial<Record<keyof Cycle, number>>): Cycle[] {
  const held = { rss: 110e6, heapUsed: 8e6, external: 2e6, arrayBuffers: 17e3, active: 26e6, cache: 0 };
  const counts = { liveArrays: 52, resources: "", files: 20, threads: 16, tokens: 3000, steps: 600 };
  const rest = { total: 3000, accepted: 2400, differing: 0, ms: 6000, processorMs: 6000, rssAsItIs: 115e6 };
  const { rss = 0, active = 0, files = 0, differing = 0 } = growing;
  return Array.from({ length: CYCLES }, (_, index) => ({
    at: "cycle",
    ...held,
    ...counts,
    ...rest,
    rss: held.rss + index * rss,
    active: held.active + index * active,
    files: counts.files + index * files,
    differing: index * differing,
  }));
}
