import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Chalk } from "chalk";
import { afterEach, describe, expect, it, vi } from "vitest";
import { writeAnswer } from "../../src/cli/answer.js";
import { complete } from "../../src/cli/chat/completion.js";
import type { Flags } from "../../src/cli/flags.js";
import { jsonLine } from "../../src/cli/stdout.js";
import { columnsTable } from "../../src/cli/ui/columns.js";
import { checkLines } from "../../src/cli/ui/doctor-lines.js";
import { openProgress } from "../../src/cli/ui/progress.js";
import { forTerminal } from "../../src/cli/ui/terminal-text.js";
import type { GenerationEvent } from "../../src/generate.js";
import type { Tokenizer } from "../../src/text/tokenizer.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { mlxGemma } from "./helpers.js";

afterEach(() => vi.restoreAllMocks());

/** Clears the screen, and again in the form of one control character, which many terminals know, too. */
const STEERING = "a\u001b[2J\u009b2J";
const HARMLESS = "a\ufffd[2J\ufffd2J";

const chalk = new Chalk({ level: 1 });

/** What is written to a stream while something runs. */
async function written(name: "stdout" | "stderr", isTTY: boolean, run: () => Promise<unknown>) {
  const stream = process[name];
  let all = "";
  vi.spyOn(stream, "write").mockImplementation((text) => {
    all += text;
    return true;
  });
  const before = stream.isTTY;
  stream.isTTY = isTTY;
  try {
    await run();
  } finally {
    stream.isTTY = before;
    vi.restoreAllMocks();
  }
  return all;
}

describe("what others chose", () => {
  it("keeps newlines, tabs and every other character", () => {
    expect(forTerminal("a\u001b[2J\tb\r\n\u009bc\u0007é\u{1f98a}")).toBe(
      "a\ufffd[2J\tb\ufffd\n\ufffdc\ufffdé\u{1f98a}",
    );
  });

  it.each([
    ["replaced on a terminal", true, `${HARMLESS}\n`],
    ["as it is in a pipe", false, `${STEERING}\n`],
  ])("is %s, as an answer", async (_, isTTY, expected) => {
    const events: readonly Partial<GenerationEvent>[] = [
      { type: "tokens", ids: [1], pieces: [{ text: STEERING, drafted: false }] },
      { type: "end", text: STEERING },
    ];
    const progress = { say() {}, line() {}, note() {}, warn() {}, stop() {}, live: false };
    const stream = (async function* () {
      for (const event of events) yield event as GenerationEvent;
    })();
    const pair = { tokenizer: {} as Tokenizer };
    const flags = { color: "never" } as Flags;
    expect(await written("stdout", isTTY, () => writeAnswer(stream, pair, flags, progress))).toBe(expected);
  });

  it("is replaced in notes, warnings and lines, our own colours are not", async () => {
    vi.stubEnv("CI", "");
    vi.stubEnv("TERM", "xterm");
    const tell = async () => {
      const progress = await openProgress({ quiet: false, color: "always" });
      progress.note(STEERING);
      progress.warn(STEERING);
      progress.line(STEERING);
    };
    expect(await written("stderr", true, tell)).toBe(
      `mlx-gemma: note: ${HARMLESS}\nmlx-gemma: \u001b[33mwarning:\u001b[39m ${HARMLESS}\nmlx-gemma: ${HARMLESS}\n`,
    );
    expect(await written("stderr", false, tell)).toBe(
      `mlx-gemma: note: ${HARMLESS}\nmlx-gemma: warning: ${HARMLESS}\nmlx-gemma: ${HARMLESS}\n`,
    );
    vi.unstubAllEnvs();
  });

  it("is an escape in tables and JSON", () => {
    const screen = { chalk, columns: Number.POSITIVE_INFINITY };
    expect(columnsTable([{ head: "name" }], [[STEERING]], screen)).toContain("a\\u{1b}[2J\\u{9b}2J");
    const line = jsonLine({ text: `${STEERING}\u007f` });
    expect(line).toBe('{"text":"a\\u001b[2J\\u009b2J\\u007f"}\n');
    expect(JSON.parse(line)).toEqual({ text: `${STEERING}\u007f` });
  });

  it("is replaced in what doctor found", () => {
    const check = { id: "cache", status: "warn", found: STEERING, cure: STEERING, facts: {} } as const;
    expect(checkLines(check, chalk, Number.POSITIVE_INFINITY).split(HARMLESS)).toHaveLength(3);
  });

  it("is replaced in errors", async () => {
    const { code, stderr } = await mlxGemma(["inspect-weights", `./no${STEERING}`]);
    expect(code).toBe(3);
    expect(stderr).toContain(`/no${HARMLESS}`);
  });

  it("is not offered as the rest of a file's name", () => {
    const folder = temporaryFolder();
    for (const name of ["plain", `p${STEERING}`]) writeFileSync(join(folder, name), "");
    expect(complete(`/load ${folder}/p`)[0]).toEqual([`${folder}/plain`]);
  });
});
