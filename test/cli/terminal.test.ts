import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FOX, GREEN, generate, NO_TERMINAL, onTerminal, STYLE } from "./helpers.js";

const SHORT = ["--draft", "assistant", "-n", "24", FOX];

describe.skipIf(NO_TERMINAL)(`on a terminal${NO_TERMINAL ? ` (${NO_TERMINAL})` : ""}`, () => {
  it("shows a spinner, the answer untorn and the statistics", async () => {
    const { code, output, text } = await onTerminal(SHORT);
    const { stdout } = await generate(SHORT);
    expect(code).toBe(0);
    expect(text).toContain("⠋ loading the model");
    expect(output.replaceAll("\r\n", "\n")).toContain(stdout);
    expect(text).toMatch(/\n24 tokens, cut at --max-tokens · [\d.]+ tok\/s · prompt \d+ tok\/s\n/);
    expect(output).toMatch(STYLE);
  });

  it("tells how much of a long prompt is read while it is read", async () => {
    const { text } = await onTerminal(["--chunk-size", "16", "-n", "2", "word ".repeat(4000)]);
    const seen = [...text.matchAll(/reading the prompt, (\d+) of (\d+) tokens/g)].map(([, done]) =>
      Number(done),
    );
    expect(new Set(seen).size).toBeGreaterThan(1);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });

  it.each([
    ["NO_COLOR", { NO_COLOR: "1" }, []],
    ["--color never", {}, ["--color", "never"]],
    ["TERM=dumb", { TERM: "dumb" }, []],
  ])("has no colours with %s", async (_, env, args) => {
    const { code, output } = await onTerminal([...args, "--show-drafts", "--stats", ...SHORT], { env });
    expect(code).toBe(0);
    expect(output).not.toMatch(STYLE);
    expect(output).toContain("tok/s");
  });

  it("writes no escape at all to a dumb terminal", async () => {
    const { output } = await onTerminal(SHORT, { env: { TERM: "dumb" } });
    expect(output).not.toContain("\u001b");
  });

  it("has colours with --color always, NO_COLOR or not", async () => {
    const { output } = await onTerminal(["--color", "always", ...SHORT], { env: { NO_COLOR: "1" } });
    expect(output).toMatch(STYLE);
  });

  it("colours accepted drafts with --show-drafts", async () => {
    const { output } = await onTerminal(["--show-drafts", ...SHORT]);
    expect(output).toContain(GREEN);
  });

  it("ends on a terminal that does not know its size", async () => {
    const { code, text } = await onTerminal(SHORT, { columns: 0 });
    expect(code).toBe(0);
    expect(text).toMatch(/tok\/s/);
  });

  it.each([20, 40])("keeps statistics and spinner within %d columns", async (columns) => {
    const { code, text } = await onTerminal(["--stats", ...SHORT], { columns });
    expect(code).toBe(0);
    const statistics = text.slice(text.lastIndexOf("24 tokens")).split("\n");
    expect(statistics.length).toBeGreaterThan(8);
    for (const line of statistics) expect(line.length).toBeLessThanOrEqual(columns);
    // A spinner's line that fills the row would scroll.
    const frames = [...text.matchAll(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] [a-z ,\d]*…?/g)].map(([frame]) => frame);
    expect(frames.length).toBeGreaterThan(0);
    for (const frame of frames) expect(frame.length).toBeLessThan(columns);
  });

  it("that is resized in the middle of an answer shows it untorn, and statistics as wide as it is then", async () => {
    const keys = [
      { after: "loading", send: "", columns: 30 },
      { after: "fox", send: "", columns: 40 },
    ];
    const args = ["--stats", "--draft", "assistant", "-n", "200", "--ignore-eos", FOX];
    const { code, output, text } = await onTerminal(args, { columns: 100, keys });
    expect(code).toBe(0);
    expect(output.replaceAll("\r\n", "\n")).toContain(
      (await generate(["-n", "200", "--ignore-eos", FOX])).stdout,
    );
    const statistics = text.slice(text.lastIndexOf("200 tokens")).split("\n");
    expect(statistics.length).toBeGreaterThan(8);
    for (const line of statistics) expect(line.length).toBeLessThanOrEqual(40);
  });

  it("says nothing beside the answer with --quiet", async () => {
    const { output } = await onTerminal(["--quiet", ...SHORT]);
    expect(output.replaceAll("\r\n", "\n")).toBe((await generate(SHORT)).stdout);
  });

  it("goes on telling its progress while a file takes the answer", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mlx-gemma-cli-"));
    try {
      const file = join(folder, "answer.txt");
      const { text } = await onTerminal(["--draft", "assistant", "-n", "150", FOX], { stdout: file });
      expect(text).toMatch(/writing, \d+ tokens/);
      expect(readFileSync(file, "utf8")).toBe((await generate(["-n", "150", FOX])).stdout);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("has no prompt to wait for", async () => {
    const { code, output } = await onTerminal([]);
    expect(code).toBe(2);
    expect(output).toMatch(/^mlx-gemma: expected a prompt, found none; usage: mlx-gemma generate .*\r\n$/);
  });
});
