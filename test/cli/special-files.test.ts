import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPrompts } from "../../src/bench/prompts.js";
import { History } from "../../src/cli/chat/history.js";
import { loadTranscript } from "../../src/cli/chat/transcript.js";
import { checkOutput, MANIFEST } from "../../src/quantize/output-folder.js";
import { temporaryFolder, thrown } from "../checkpoint/helpers.js";
import { mlxGemma } from "./helpers.js";

function pipe(name = "pipe"): string {
  const path = join(temporaryFolder(), name);
  execFileSync("mkfifo", [path]);
  return path;
}

describe("a file of a user's that is a pipe nobody writes to", () => {
  it("is no saved run", async () => {
    for (const file of [pipe(), "/dev/zero", temporaryFolder()]) {
      const outcome = await mlxGemma(["report", file]);
      expect(outcome).toMatchObject({ code: 2, stdout: "" });
      expect(outcome.stderr).toMatch(/^mlx-gemma: report [^\n]+ found (no plain file|a folder)\n$/);
    }
  });

  it("is no file of prompts, and no conversation", () => {
    for (const file of [pipe(), "/dev/zero"]) {
      expect(thrown("usage", () => readPrompts(file)).message).toContain("found no plain file");
      expect(thrown("usage", () => loadTranscript(file)).message).toContain("found no plain file");
    }
  });

  it("keeps no history, which is told once", () => {
    const told: string[] = [];
    const history = new History(pipe(), (text) => told.push(text));
    history.add("a line");
    expect(history.lines).toEqual(["a line"]);
    expect(told).toEqual([expect.stringMatching(/can't be kept there \(no plain file\)/)]);
  });

  it("is no manifest: its folder is not replaced", () => {
    const manifest = pipe(MANIFEST);
    const folder = join(manifest, "..");
    expect(thrown("usage", () => checkOutput(folder, true)).message).toContain("never replaced");
  });
});

it.each(["null", "[]", '{"files":[1,null,"../x","a/b",""]}', `{"files":${"[".repeat(100_000)}`, "{"])(
  "a manifest that holds %.40s names no file of ours",
  (text) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, MANIFEST), text);
    writeFileSync(join(folder, "x"), "");
    thrown("usage", () => checkOutput(folder, true));
  },
);

it.each([
  '{"format":"mlx-gemma trace"}',
  `{"format":"mlx-gemma trace","rounds":${"[".repeat(1e6)}`,
  `"${"x".repeat(1e6)}"`,
  "\0",
])("a saved run that holds %.40s ends with 2 and one line", async (text) => {
  const file = join(temporaryFolder(), "run.json");
  writeFileSync(file, text);
  const outcome = await mlxGemma(["report", file]);
  expect(outcome).toMatchObject({ code: 2, stdout: "" });
  expect(outcome.stderr).toMatch(/^mlx-gemma: report [^\n]{1,600}\n$/);
});
