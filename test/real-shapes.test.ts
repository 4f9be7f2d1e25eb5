import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const node = async (script: string, ...args: string[]): Promise<string> => {
  const file = fileURLToPath(new URL(`../bench/real-shapes/${script}`, import.meta.url));
  return (await promisify(execFile)(process.execPath, [file, ...args])).stdout;
};
const TOKENS = 32;
const DRAFTS = 3;
/** Beside the weights: what generating itself needs. */
const ROOM = 100e6;

interface Generated {
  readonly tokenIds: readonly number[];
  readonly proposed: number;
  readonly accepted: number;
}

interface Report {
  /** Of both parts' weights. */
  readonly bytes: number;
  readonly phases: readonly { readonly name: string; readonly rss: number }[];
  readonly peak: number;
  readonly plain: Generated;
  readonly drafted: Generated;
  readonly replayed: Generated;
}

// The models' real sizes are for bench/real-shapes/run.mjs.
describe.each(["bf16", "4bit"])("a random %s pair with the real vocabulary and an E2B's layers", (format) => {
  const folder = mkdtempSync(join(tmpdir(), "real-shapes-"));
  let report: Report;

  beforeAll(async () => {
    const pair = join(folder, "pair");
    await node("make.mjs", "--model", "small", "--format", format, "--no-tokenizer", "--out", pair);
    const parts = JSON.parse(await node("measure.mjs", "parts", pair, "1"));
    const generated = await node("measure.mjs", "generate", pair, "1", String(TOKENS), String(DRAFTS));
    report = { ...JSON.parse(generated), bytes: parts.bytes };
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("writes a text worth comparing", () => {
    expect(report.plain.tokenIds).toHaveLength(TOKENS);
    expect(new Set(report.plain.tokenIds).size).toBeGreaterThan(TOKENS / 2);
  });

  it("writes the same text drafted by its assistant", () => {
    expect(report.drafted.proposed).toBeGreaterThan(0);
    expect(report.drafted.tokenIds).toEqual(report.plain.tokenIds);
  });

  it("writes the same text when rounds end at every place", () => {
    const { tokenIds, proposed, accepted } = report.replayed;
    expect(tokenIds).toEqual(report.plain.tokenIds);
    expect(accepted).toBeGreaterThan(proposed / 3);
    expect(accepted).toBeLessThan(proposed);
  });

  it.skipIf(process.platform !== "linux")("holds one copy of the weights", () => {
    const before = report.phases.find(({ name }) => name === "addon")?.rss ?? Number.NaN;
    expect(report.peak - before).toBeGreaterThan(report.bytes);
    expect(report.peak - before).toBeLessThan(1.15 * report.bytes + ROOM);
  });
});
