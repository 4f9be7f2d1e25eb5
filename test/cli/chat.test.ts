import { existsSync, linkSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { JSON_SCHEMAS } from "../../src/cli/json-schemas.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { FOX, generate, mlxGemma, type RunOptions, readJson } from "./helpers.js";

const DRAFT = ["--draft", "assistant", "-n", "24"];
const chat = (args: readonly string[], lines: readonly string[], options: RunOptions = {}) =>
  mlxGemma(["chat", ...args], { input: `${lines.join("\n")}\n`, ...options });

/** What --json tells of each answer. */
async function answers(args: readonly string[], lines: readonly string[]) {
  const { code, stdout, stderr } = await chat(["--json", "--quiet", ...args], lines);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => readJson(JSON_SCHEMAS.chat, `${line}\n`));
}

describe("chat without a terminal", () => {
  it("takes a line a turn, and says first what generate says", async () => {
    const { code, stdout, stderr } = await chat(DRAFT, [FOX, "", "Hello!"]);
    const first = (await generate([...DRAFT, FOX])).stdout;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.startsWith(first)).toBe(true);
    expect(stdout.slice(first.length)).toMatch(/^\S.*\n/);
  });

  it("reads only what is new of each turn, drafted or not, and answers the same", async () => {
    const lines = [FOX, "Hello!", "/regen", "What is the capital of France?"];
    const drafted = await answers(DRAFT, lines);
    const plain = await answers(["-n", "24"], lines);
    expect(drafted.map(({ tokenIds }) => tokenIds)).toEqual(plain.map(({ tokenIds }) => tokenIds));
    expect(plain.every(({ stats }) => stats.proposed === 0)).toBe(true);
    const [first, second, again, last] = plain.map(({ stats }) => stats);
    expect(first?.cachedPromptTokens).toBe(0);
    // All of the first turn but the last token of its answer, which comes with the second.
    expect(second?.cachedPromptTokens).toBe((first?.promptTokens ?? 0) + 24 - 1);
    expect(again).toMatchObject({
      promptTokens: second?.promptTokens,
      cachedPromptTokens: (second?.promptTokens ?? 0) - 1,
    });
    expect(last?.cachedPromptTokens).toBeGreaterThan(second?.promptTokens ?? 0);
  });

  it("takes a message of several lines", async () => {
    const joined = await answers(DRAFT, ["Tell me a story\\", "about a fox."]);
    const fenced = await answers(DRAFT, ['"""', "Tell me a story", 'about a fox."""']);
    const cut = await answers(DRAFT, ['"""Tell me a story', "about a fox."]);
    expect(joined).toHaveLength(1);
    expect(fenced[0]?.tokenIds).toEqual(joined[0]?.tokenIds);
    expect(cut[0]?.tokenIds).toEqual(joined[0]?.tokenIds);
    const { stdout } = await generate([...DRAFT, "--json", "Tell me a story\nabout a fox."]);
    expect(JSON.parse(stdout).tokenIds).toEqual(joined[0]?.tokenIds);
  });

  it("changes how answers are written by commands", async () => {
    const [plain, hot, other, greedy] = await answers(
      ["--draft", "assistant", "-n", "30"],
      ["/draft off", "/max-tokens 24", FOX, "/temp 2", "/regen", "/regen", "/temp 0", "/draft 2", "/regen"],
    );
    expect(plain).toMatchObject({ stats: { proposed: 0, tokens: 24 } });
    expect(hot?.tokenIds).not.toEqual(plain?.tokenIds);
    expect(other?.tokenIds).not.toEqual(hot?.tokenIds);
    expect(greedy?.tokenIds).toEqual(plain?.tokenIds);
    expect(greedy?.stats.proposed).toBeGreaterThan(0);
  });

  it("says what holds when a command has no argument", async () => {
    const { stderr, stdout } = await chat(
      ["--system", "Be brief.", "--temperature", "0.5"],
      ["/system", "/system off", "/system", "/temp", "/undo", "/stats"],
    );
    expect(stdout).toBe("");
    expect(stderr).toBe(
      "Be brief.\nno system turn\n0.5\nnothing to take back\ncontext: 0 of 32768 tokens\nturns: 0\n",
    );
  });

  it("goes on with what was saved", async () => {
    const file = join(temporaryFolder(), "fox.json");
    const saved = await chat(["-n", "20"], ["/system Be brief.", FOX, `/save ${file}`, "/save", "Hello!"]);
    expect(saved.stderr).toBe(`saved: ${file}\nsaved: ${file}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = await chat(["-n", "20", "--load", file], ["/system", "Hello!"]);
    expect(again.stderr).toBe("loaded: 1 turns\nBe brief.\n");
    expect(saved.stdout.endsWith(again.stdout)).toBe(true);
    expect(again.stdout.length).toBeGreaterThan(5);
    // A file appears when it is whole: the old one is replaced, not written over.
    const before = `${file}.before`;
    linkSync(file, before);
    await chat(["--load", file, "-n", "2"], ["/clear", "/save"]);
    expect(JSON.parse(readFileSync(file, "utf8")).messages).toEqual([]);
    expect(JSON.parse(readFileSync(before, "utf8")).messages).toHaveLength(2);
    const other = await chat([], [`/save ${file}`]);
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/expected a new file, found one that is there/);
  });

  it("tells what it drops when the context is full", async () => {
    const { code, stderr } = await chat(["--context", "120", "-n", "30"], [FOX, FOX, FOX, FOX, "/stats"]);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /warning: context full: the oldest \d turns? (is|are) left out from here on; .* \[turns-dropped\]/,
    );
    expect(stderr).toMatch(/of 120 tokens\nturns: 4, \d left out\n$/);
  });

  it("keeps no history", async () => {
    const state = temporaryFolder();
    await chat(["-n", "3"], ["Hi"], { env: { XDG_STATE_HOME: state } });
    expect(existsSync(join(state, "mlx-gemma"))).toBe(false);
  });

  it("reads lines however they end, and refuses what is no UTF-8", async () => {
    const input = Buffer.from("/seed\r\n/temp\n/min-p");
    expect(await mlxGemma(["chat"], { input })).toMatchObject({ code: 0, stderr: "0\n0\n0\n" });
    const bad = await mlxGemma(["chat"], { input: Buffer.from([0x2f, 0xff, 0x0a]) });
    expect(bad).toMatchObject({ code: 2, stdout: "" });
    expect(bad.stderr).toMatch(/^mlx-gemma: stdin: expected messages in UTF-8/);
  });

  it("ends at /exit", async () => {
    expect(await chat([], ["/exit", "/nosuch"])).toMatchObject({ code: 0, stdout: "", stderr: "" });
  });
});

describe("what chat refuses", () => {
  it.each<[string, readonly string[], readonly string[], RegExp]>([
    [
      "an unknown command",
      [],
      ["/und"],
      /^mlx-gemma: \/und: there is no such command; did you mean \/undo\?/,
    ],
    ["a number out of range", [], ["/temp hot"], /\/temp: expected a number from 0 to 100, found "hot"/],
    ["drafts without a drafter", [], ["/draft 3"], /\/draft: no assistant is loaded/],
    ["a wrong word", [], ["/show all"], /\/show: expected drafts or thoughts, found "all"/],
    ["thoughts of a model that has none", [], ["/think on"], /can't ask for thoughts/],
    ["--think of a model that has none", ["--think"], [], /can't ask for thoughts/],
    ["nothing to answer anew", [], ["/regen"], /no message yet/],
    ["no file", [], ["/save"], /\/save: expected a file, found none, and the conversation has none yet/],
    ["a file that is not there", [], ["/load nowhere.json"], /nowhere.json: expected .* \(ENOENT\)/],
    ["a picture", [], ["<|image|>"], /asks for an image/],
    ["--context 0", ["--context", "0"], [], /--context: expected a whole number of at least 1/],
    ["--draft-tokens without a drafter", ["--draft-tokens", "2"], [], /--draft-tokens: 2 needs a drafter/],
  ])("%s", async (_, args, lines, message) => {
    const { code, stdout, stderr } = await chat(args, lines);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n").length).toBeLessThan(3);
  });

  it.each([
    ["no JSON", "Hello", /found no JSON/],
    ["another file", '{"name": "mlx-gemma"}', /a mistake at format/],
    [
      "a stranger's role",
      '{"format":"mlx-gemma chat","version":1,"messages":[{"role":"system","content":"x"}]}',
      /a mistake at messages\.0\.role/,
    ],
    [
      "turns out of order",
      '{"format":"mlx-gemma chat","version":1,"messages":[{"role":"assistant","content":"x"}]}',
      /message 0: expected one of role user/,
    ],
  ])("a conversation that is %s", async (_, content, message) => {
    const file = join(temporaryFolder(), "chat.json");
    writeFileSync(file, content);
    const { code, stderr } = await chat(["--load", file], []);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(readFileSync(file, "utf8")).toBe(content);
  });

  it("a message that does not fit", async () => {
    const { code, stderr } = await chat(["--context", "30"], ["word ".repeat(100)]);
    expect(code).toBe(6);
    expect(stderr).toMatch(
      /the message alone makes a prompt of \d+ tokens, the context has 30, answer included/,
    );
  });
});

describe("signals", () => {
  it.each<[NodeJS.Signals, number]>([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ])("%s ends the answer and the chat", async (signal, code) => {
    const kill = { after: "forest", signal };
    const outcome = await chat([], [...Array<string>(200).fill(FOX), "/nosuch"], { kill });
    expect(outcome).toMatchObject({ code, stderr: "" });
    expect(outcome.stdout).toMatch(/forest[\s\S]*\n$/);
  });
});
