import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { ConversationEvent } from "../../src/chat/conversation.js";
import { showAnswer } from "../../src/cli/chat/answer.js";
import { complete } from "../../src/cli/chat/completion.js";
import { History, historyFile } from "../../src/cli/chat/history.js";
import { MessageLines } from "../../src/cli/chat/messages.js";
import { StatsCollector } from "../../src/speculative/stats.js";
import type { Strictness, Warning } from "../../src/warnings.js";
import { temporaryFolder } from "../checkpoint/helpers.js";

afterEach(() => vi.restoreAllMocks());

const stats = new StatsCollector().summarize({
  promptTokens: 5,
  cachedPromptTokens: 0,
  prefillMs: 1,
  timeToFirstTokenMs: 1,
  decodeMs: 1,
  draftTokens: 0,
  adaptive: null,
  exact: "by construction",
});
const DIM = "\u001b[2m";

/** What an answer with a thought writes. */
async function shown(thoughts: boolean, allow: Strictness["allow"] = []) {
  const dropped: Warning = { code: "turns-dropped", message: "the oldest turn" };
  const events: readonly ConversationEvent[] = [
    { type: "dropped", messages: 2, warning: dropped },
    {
      type: "tokens",
      ids: [1],
      pieces: [
        { text: "Let me", drafted: false, thought: true },
        { text: " see.", drafted: true, thought: true },
        { text: "Four\u001b[2J", drafted: true, thought: false },
      ],
    },
    {
      type: "end",
      stopReason: "eos",
      text: "Four",
      thoughts: "Let me see.",
      tokenIds: [1],
      stats,
      warnings: [dropped, { code: "context-full", message: "the end" }],
    },
  ];
  const out = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      out[name] += text;
      return true;
    });
  }
  const told: string[] = [];
  const progress = {
    say() {},
    line() {},
    note() {},
    stop() {},
    live: false,
    warn: (text: string) => told.push(text),
  };
  await showAnswer(
    (async function* () {
      yield* events;
    })(),
    { progress, shown: { drafts: false, thoughts }, json: false, color: "always", standing: [], allow },
  );
  vi.restoreAllMocks();
  return { ...out, told };
}

describe("an answer with thoughts", () => {
  it("shows them dimmed beside the answer", async () => {
    const { stdout, stderr, told } = await shown(true);
    expect(stderr).toBe(`${DIM}Let me\u001b[22m${DIM} see.\u001b[22m\n`);
    expect(stdout).toBe("Four\u001b[2J\n");
    expect(told).toEqual(["the oldest turn [turns-dropped]", "the end [context-full]"]);
    expect((await shown(true, ["turns-dropped"])).told).toEqual(["the end [context-full]"]);
  });

  it("hides them", async () => {
    expect((await shown(false)).stderr).toBe("");
  });
});

describe("lines of a message", () => {
  const messages = (...lines: string[]) => {
    const open = new MessageLines();
    const found = lines.flatMap((line) => open.push(line) ?? []);
    return [...found, ...[open.finish() ?? []].flat()];
  };

  it.each([
    [
      ["one", "two"],
      ["one", "two"],
    ],
    [
      ["a\\", "b\\", "", "c"],
      ["a\nb", "c"],
    ],
    [
      ['"""', " a", "", '"""', "b"],
      [" a\n", "b"],
    ],
    [
      ['"""a"""', "b"],
      ["a", "b"],
    ],
    [['"""a', 'b """'], ["a\nb "]],
    [["a\\"], ["a"]],
    [['"""'], [""]],
    [[], []],
  ])("%j are %j", (lines, expected) => {
    expect(messages(...lines)).toEqual(expected);
  });
});

describe("completion", () => {
  it.each([
    ["/un", ["/undo"], "/un"],
    ["/s", ["/system ", "/save ", "/stats", "/seed ", "/show "], "/s"],
    ["/think o", ["on", "off"], "o"],
    ["/draft ", ["auto", "off"], ""],
    ["/help x", [], "x"],
    ["a word", ["\t"], ""],
    ["/load /nowhere/x", [], "/nowhere/x"],
    ["/load package.j", ["package.json"], "package.j"],
    ["/save ./src/cl", ["./src/cli/"], "./src/cl"],
  ])("of %j is %j", (line, found, completed) => {
    expect(complete(line)).toEqual([found, completed]);
  });
});

describe("the history", () => {
  it("is cut to its last lines, and made private", () => {
    const file = join(temporaryFolder(), "history");
    writeFileSync(file, Array.from({ length: 2500 }, (_, index) => `line ${index}\n`).join(""));
    chmodSync(file, 0o644);
    const history = new History(file, () => {});
    expect(history.lines).toHaveLength(1000);
    expect(history.lines[0]).toBe("line 2499");
    history.add("new");
    history.add("new");
    history.add("  ");
    expect(readFileSync(file, "utf8").split("\n").slice(-3)).toEqual(["line 2499", "new", ""]);
    expect(readFileSync(file, "utf8").split("\n")).toHaveLength(1002);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("lies where XDG says", () => {
    const end = "mlx-gemma/chat-history";
    expect(historyFile({ XDG_STATE_HOME: "/state", HOME: "/h" })).toBe(`/state/${end}`);
    expect(historyFile({ XDG_STATE_HOME: "state", HOME: "/h" })).toBe(`/h/.local/state/${end}`);
  });
});
