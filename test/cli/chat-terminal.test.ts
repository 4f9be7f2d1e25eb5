import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "../checkpoint/helpers.js";
import {
  FOX,
  GREEN,
  generate,
  mlxGemmaOnTerminal,
  NO_TERMINAL,
  STYLE,
  type TerminalOptions,
} from "./helpers.js";

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const UP = "\u001b[A";
const READY = "Ctrl-D leaves";
/** At temperature 1 and past its end the answer goes on for long. */
const LONG = ["-n", "5000", "--temperature", "1", "--top-k", "40"];

let state: string;
beforeEach(() => {
  state = temporaryFolder();
});

const chat = (args: readonly string[], keys: TerminalOptions["keys"] = [], options: TerminalOptions = {}) =>
  mlxGemmaOnTerminal(["chat", ...args], { keys, ...options, env: { XDG_STATE_HOME: state, ...options.env } });
const history = () => join(state, "mlx-gemma", "chat-history");

describe.skipIf(NO_TERMINAL)(`chat on a terminal${NO_TERMINAL ? ` (${NO_TERMINAL})` : ""}`, () => {
  it("answers, tells its statistics, and leaves at Ctrl-D", async () => {
    const { code, text } = await chat(
      ["--draft", "assistant", "-n", "24"],
      [
        { after: READY, send: `${FOX}\r` },
        { after: "exact: by", send: "Hello!\r", wait: 0.5 },
        { after: "kept", send: CTRL_D, wait: 0.8 },
      ],
    );
    expect(code).toBe(0);
    expect(text).toContain((await generate(["-n", "24", FOX])).stdout);
    expect(text).toMatch(/\d+ of \d+ kept/);
  });

  it("colours drafts when asked to, also later", async () => {
    const { output } = await chat(
      ["--draft", "assistant", "-n", "24"],
      [
        { after: READY, send: `${FOX}\r` },
        { after: "exact: by", send: "/show drafts\r", wait: 0.5 },
        { after: "/show drafts", send: "/regen\r", wait: 0.5 },
        { after: GREEN, send: CTRL_D, wait: 1.5 },
      ],
    );
    const [before = "", after = ""] = output.split("/show drafts");
    expect(before).not.toContain(GREEN);
    expect(after).toContain(GREEN);
  });

  it("Ctrl-C stops the answer, and the chat goes on", async () => {
    const { code, text } = await chat(LONG, [
      { after: READY, send: `${FOX}\r` },
      { after: "forest", send: CTRL_C },
      { after: "interrupted", send: "/stats\r", wait: 0.5 },
      { after: "turns: 1", send: "/exit\r", wait: 0.3 },
    ]);
    expect(code).toBe(0);
    expect(text).toMatch(/\d+ tokens, interrupted/);
  });

  it("Ctrl-C twice leaves with 130: at the prompt, and after an answer was stopped", async () => {
    const prompt = await chat(
      [],
      [
        { after: READY, send: CTRL_C, wait: 0.3 },
        { after: "once more leaves", send: CTRL_C, wait: 0.5 },
      ],
    );
    expect(prompt.code).toBe(130);
    const answer = await chat(LONG, [
      { after: READY, send: `${FOX}\r` },
      { after: "forest", send: CTRL_C },
      { after: "interrupted", send: CTRL_C, wait: 0.8 },
    ]);
    expect(answer.code).toBe(130);
  });

  it("a Ctrl-C that clears a line does not leave after the next message", async () => {
    const { code, text } = await chat(
      ["-n", "5"],
      [
        { after: READY, send: `not this${CTRL_C}`, wait: 0.3 },
        { after: "once more leaves", send: "/help\r", wait: 0.5 },
        { after: "leave (Ctrl-D", send: CTRL_C, wait: 0.5 },
        { after: "^C", send: "", wait: 0.5 },
        { after: "several lines", send: "/exit\r", wait: 0.5 },
      ],
    );
    expect(code).toBe(0);
    expect(text).not.toContain("tok/s");
  });

  it("leaves at once while it loads", async () => {
    const { code } = await chat([], [{ after: "loading", send: CTRL_C }]);
    expect(code).toBe(130);
  });

  it("keeps what was typed for the next session, for its owner alone", async () => {
    await chat(
      ["-n", "5"],
      [
        { after: READY, send: "/temp 0.25\r" },
        { after: "0.25", send: CTRL_D, wait: 0.5 },
      ],
    );
    expect(readFileSync(history(), "utf8")).toBe("/temp 0.25\n");
    expect(statSync(history()).mode & 0o777).toBe(0o600);
    const again = await chat(
      [],
      [
        { after: READY, send: `${UP}\r`, wait: 0.3 },
        { after: "/temp 0.25", send: "/temp\r", wait: 0.5 },
        { after: "l0.25", send: CTRL_D, wait: 0.5 },
      ],
    );
    expect(again.text).toContain("\n0.25\n");
    const none = await chat(
      ["--no-history"],
      [
        { after: READY, send: "/seed 7\r" },
        { after: "7", send: CTRL_D, wait: 0.5 },
      ],
    );
    expect(none.code).toBe(0);
    expect(readFileSync(history(), "utf8")).not.toContain("/seed");
  });

  it("goes on without a history where there can be none", async () => {
    writeFileSync(join(state, "file"), "");
    const { code, text } = await chat(
      [],
      [
        { after: READY, send: "/stats\r" },
        { after: "turns: 0", send: CTRL_D, wait: 0.3 },
      ],
      {
        env: { XDG_STATE_HOME: join(state, "file") },
      },
    );
    expect(code).toBe(0);
    expect(text).toMatch(/note: .*chat-history: the history can't be kept there \(ENOTDIR\)/);
  });

  it("completes commands and files", async () => {
    writeFileSync(join(state, "story of a fox.json"), "no JSON");
    const { text } = await chat(
      [],
      [
        { after: READY, send: "/loa" },
        { after: "/loa", send: "\t", wait: 0.3 },
        { after: "/load ", send: `${state}/sto`, wait: 0.3 },
        { after: "/sto", send: "\t", wait: 0.3 },
        { after: "fox.json", send: "\r", wait: 0.3 },
        { after: "no JSON", send: CTRL_D, wait: 0.5 },
      ],
    );
    expect(text).toContain("story of a fox.json: expected a conversation that /save wrote, found no JSON");
  });

  it("takes pasted lines as one message, tabs too", async () => {
    const file = join(state, "chat.json");
    await chat(
      ["-n", "3"],
      [
        { after: READY, send: "\u001b[200~one\ntwo\n\tthree\u001b[201~\r" },
        { after: "tok/s", send: `/save ${file}\r`, wait: 0.5 },
        { after: "saved", send: CTRL_D, wait: 0.5 },
      ],
    );
    const { messages } = JSON.parse(readFileSync(file, "utf8"));
    expect(messages).toHaveLength(2);
    expect(messages[0].content).toBe("one\ntwo\n\tthree");
  });

  it("tells a mistake and goes on", async () => {
    const { code, text } = await chat(
      ["-n", "3"],
      [
        { after: READY, send: "/nosuch\r" },
        { after: "no such command", send: "Hello!\r", wait: 0.5 },
        { after: "tok/s", send: CTRL_D, wait: 0.5 },
      ],
    );
    expect(code).toBe(0);
    expect(text).toMatch(/\n3 tokens, cut at --max-tokens/);
  });

  it("keeps help and statistics within 40 columns", async () => {
    const { text } = await chat(
      ["--draft", "assistant", "-n", "24"],
      [
        { after: READY, send: "/help\r" },
        { after: "several lines", send: "Hello!\r", wait: 0.5 },
        { after: "exact: by", send: "/stats\r", wait: 0.5 },
        { after: "turns: 1", send: CTRL_D, wait: 0.3 },
      ],
      { columns: 40 },
    );
    const help = text.slice(text.indexOf("/help\n", text.indexOf("> /help")), text.indexOf("> Hello!"));
    const statistics = text.slice(text.indexOf("> /stats"));
    for (const part of [help, statistics]) {
      expect(part.split("\n").length).toBeGreaterThan(8);
      for (const line of part.split("\n")) expect(line.length, line).toBeLessThanOrEqual(40);
    }
  });

  it("has no escapes but the line editor's on a dumb terminal, and no colours with NO_COLOR", async () => {
    const keys = [
      { after: READY, send: "/stats\r" },
      { after: "turns: 0", send: CTRL_D, wait: 0.3 },
    ];
    const dumb = await chat([], keys, { env: { TERM: "dumb" } });
    expect(dumb.output).not.toContain("\u001b");
    const plain = await chat(
      ["-n", "5"],
      [
        { after: READY, send: "Hi\r" },
        { after: "tok/s", send: CTRL_D, wait: 0.5 },
      ],
      {
        env: { NO_COLOR: "1" },
      },
    );
    expect(plain.output).not.toMatch(STYLE);
  });
});
