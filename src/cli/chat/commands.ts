import { MlxGemmaError } from "../../errors.js";
import { numberFrom } from "../options.js";
import { draftTokensFrom, RANGES } from "../pair-options.js";
import type { ChatSession } from "./session.js";
import { loadTranscript, saveTranscript } from "./transcript.js";

/** A command of the conversation: `/name argument`. */
export interface ChatCommand {
  readonly name: string;
  /** What follows the name; in brackets where it may be left out. */
  readonly argument?: string;
  /** At most 36 characters, for narrow terminals. */
  readonly help: string;
  /** Arguments that are completed. */
  readonly values?: readonly string[];
  /** The argument is a file. */
  readonly file?: true;
  /** It ends the conversation. */
  readonly leaves?: true;
  run(session: ChatSession, argument: string): Promise<void> | void;
}

/** Numbers that a command of their own changes. */
const NUMBERS = [
  ["max-tokens", "maxTokens", "the most tokens of an answer"],
  ["temp", "temperature", "temperature; 0: greedy"],
  ["top-k", "topK", "keep the k likeliest tokens; 0: all"],
  ["top-p", "topP", "keep the likeliest up to p"],
  ["min-p", "minP", "drop below this share of the likeliest"],
  ["seed", "seed", "of sampling"],
] as const;

export const COMMANDS: readonly ChatCommand[] = [
  { name: "help", help: "these commands", run: ({ say, columns }) => say(helpText(columns())) },
  {
    name: "system",
    argument: "[TEXT|off]",
    help: "show, set or remove the system turn",
    values: ["off"],
    run({ conversation, say }, text) {
      if (text === "") say(conversation.system ?? "no system turn");
      else conversation.system = text === "off" ? undefined : text;
    },
  },
  {
    name: "undo",
    help: "take the last message back",
    run({ conversation, say }) {
      const message = conversation.undo();
      say(message === undefined ? "nothing to take back" : `taken back: ${shortened(message)}`);
    },
  },
  { name: "regen", help: "answer the last message anew", run: (session) => session.regenerate() },
  {
    name: "clear",
    help: "begin a new conversation",
    run: ({ conversation }) => conversation.restore([]),
  },
  {
    name: "save",
    argument: "[FILE]",
    help: "save to FILE, or to the last one",
    file: true,
    run(session, argument) {
      const path = argument === "" ? session.file : argument;
      if (path === undefined)
        throw new MlxGemmaError(
          "usage",
          "/save: expected a file, found none, and the conversation has none yet",
        );
      saveTranscript(path, session.conversation, path === session.file);
      session.file = path;
      session.say(`saved: ${path}`);
    },
  },
  {
    name: "load",
    argument: "FILE",
    help: "go on with a saved conversation",
    file: true,
    run(session, path) {
      if (path === "") throw new MlxGemmaError("usage", "/load: expected a file, found none");
      load(session, path);
    },
  },
  { name: "stats", help: "the last answer's account", run: (session) => session.tellStatistics() },
  {
    name: "draft",
    argument: "K|auto|off",
    help: "tokens to propose a round",
    values: ["auto", "off"],
    run({ pair, settings }, argument) {
      if (!pair.drafter) {
        throw new MlxGemmaError(
          "usage",
          "/draft: no assistant is loaded; start the chat with --draft assistant",
        );
      }
      settings.draftTokens = argument === "off" ? 0 : draftTokensFrom(argument, "/draft (or auto, off)");
    },
  },
  ...NUMBERS.map(
    ([name, key, help]): ChatCommand => ({
      name,
      argument: "[N]",
      help,
      run({ settings, say }, argument) {
        if (argument === "") say(String(settings[key] ?? 0));
        else settings[key] = numberFrom(argument, RANGES[key], `/${name}`);
      },
    }),
  ),
  {
    name: "think",
    argument: "on|off",
    help: "think before answering",
    values: ["on", "off"],
    run: (session, argument) => session.think(oneOf(["on", "off"], argument, "/think") === "on"),
  },
  ...(["show", "hide"] as const).map(
    (name): ChatCommand => ({
      name,
      argument: "drafts|thoughts",
      help: name === "show" ? "colour drafts, or show thoughts" : "do not",
      values: ["drafts", "thoughts"],
      run({ settings }, argument) {
        settings.shown[oneOf(["drafts", "thoughts"], argument, `/${name}`)] = name === "show";
      },
    }),
  ),
  { name: "exit", help: "leave (Ctrl-D does, too)", leaves: true, run() {} },
];

/** Whether a message is a command. A message that begins with a slash can have a space before it. */
export function isCommand(message: string): boolean {
  return message.startsWith("/");
}

/**
 * Runs a command. True: the conversation goes on.
 *
 * @throws MlxGemmaError `usage` for one that there is not, and what the command throws
 */
export async function runCommand(session: ChatSession, line: string): Promise<boolean> {
  const [, name = "", argument = ""] = /^\/(\S*)\s*([\s\S]*)$/.exec(line) ?? [];
  const command = COMMANDS.find((known) => known.name === name);
  if (!command) {
    const near = COMMANDS.filter((known) => name !== "" && known.name.startsWith(name.slice(0, 2)));
    const advice =
      near.length > 0 ? `did you mean ${near.map((known) => `/${known.name}`).join(", ")}?` : "see /help";
    throw new MlxGemmaError(
      "usage",
      `/${name.slice(0, 40)}: there is no such command; ${advice} (a message that begins with a slash needs a space before it)`,
    );
  }
  await command.run(session, argument.trim());
  return !command.leaves;
}

/** Takes the place of the conversation with a saved one. */
export function load(session: ChatSession, path: string): void {
  const { conversation, say } = session;
  const { system, messages } = loadTranscript(path);
  conversation.restore(messages);
  conversation.system = system;
  session.file = path;
  say(`loaded: ${messages.length / 2} turns`);
}

function helpText(columns: number): string {
  const usage = ({ name, argument }: ChatCommand) =>
    `/${name}${argument === undefined ? "" : ` ${argument}`}`;
  const width = Math.max(...COMMANDS.map((command) => usage(command).length)) + 2;
  const beside = columns >= width + 38;
  const lines = COMMANDS.map((command) =>
    beside ? usage(command).padEnd(width) + command.help : `${usage(command)}\n  ${command.help}`,
  );
  const more = ["A line that ends with \\ goes on;", '""" begins and ends several lines.'];
  return [...lines, "", ...more].join("\n");
}

function oneOf<T extends string>(words: readonly T[], found: string, where: string): T {
  const word = words.find((each) => each === found);
  if (word !== undefined) return word;
  throw new MlxGemmaError(
    "usage",
    `${where}: expected ${words.join(" or ")}, found ${JSON.stringify(found.slice(0, 40))}`,
  );
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 24 ? `${line.slice(0, 23)}…` : line;
}
