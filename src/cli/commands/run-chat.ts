import { Conversation } from "../../chat/conversation.js";
import { MlxGemmaError } from "../../errors.js";
import { refuseWarnings } from "../../warnings.js";
import { isCommand, load, runCommand } from "../chat/commands.js";
import { History, historyFile } from "../chat/history.js";
import { type ChatInput, editedLines, pipedLines } from "../chat/input.js";
import { type Interrupts, onInterrupts } from "../chat/interrupts.js";
import { MessageLines } from "../chat/messages.js";
import { ChatSession } from "../chat/session.js";
import { idleOptions } from "../flags.js";
import { checkPairFlags, openPair } from "../open-pair.js";
import { colours } from "../ui/colour.js";
import { openProgress } from "../ui/progress.js";
import { tellWarnings } from "../warnings.js";
import type { ChatFlags } from "./chat.js";

/**
 * Runs `mlx-gemma chat` until its input ends. On a terminal a mistake is told and the chat goes on; elsewhere it is
 * thrown. Sets the exit code when it was interrupted.
 *
 * @param given whether an option stands on the command line
 */
export async function runChat(flags: ChatFlags, given: (name: keyof ChatFlags) => boolean): Promise<void> {
  checkPairFlags(flags);
  const { stdin, stdout, stderr } = process;
  const interactive = stdin.isTTY === true && stderr.isTTY === true;
  const idle = idleOptions(flags, given, colours(flags.color, stdout).level > 0);
  refuseWarnings(idle, flags);
  const progress = await openProgress({ quiet: flags.quiet === true, color: flags.color });
  const interrupts = onInterrupts(interactive, () => progress.stop());
  try {
    using pair = await openPair(flags, progress, interrupts.left);
    using conversation = new Conversation(pair, { system: flags.system, contextTokens: flags.context });
    progress.stop();
    const warnings = [...idle, ...pair.warnings];
    tellWarnings(warnings, flags, progress);
    const session = new ChatSession(conversation, pair, flags, progress, interrupts, warnings);
    if (flags.load !== undefined) load(session, flags.load);
    if (flags.system !== undefined) conversation.system = flags.system;
    if (flags.think) await session.think(true);
    if (interactive && !flags.quiet) session.say("/help lists commands; Ctrl-D leaves");
    const history = new History(flags.history && interactive ? historyFile() : undefined, progress.note);
    using input = interactive ? editedLines(history, interrupts.left) : pipedLines(interrupts.left);
    await converse(session, input, interrupts, interactive);
  } catch (error) {
    if (!(error instanceof MlxGemmaError && error.code === "aborted")) throw error;
  } finally {
    progress.stop();
    if (interrupts.left.aborted) process.exitCode = interrupts.exitCode;
  }
}

async function converse(
  session: ChatSession,
  input: ChatInput,
  interrupts: Interrupts,
  interactive: boolean,
): Promise<void> {
  const message = new MessageLines();
  interrupts.reset();
  while (!interrupts.left.aborted) {
    const typed = await input.next(message.open);
    if (typed.type === "interrupt") {
      message.clear();
      if (interrupts.press()) session.say("Ctrl-C once more leaves");
      continue;
    }
    const text = typed.type === "end" ? message.finish() : message.push(typed.text);
    if (typed.type === "line") interrupts.reset();
    if (text !== undefined && text.trim() !== "") {
      try {
        if (!isCommand(text)) await session.send(text);
        else if (!(await runCommand(session, text))) return;
      } catch (error) {
        const mistake = error instanceof MlxGemmaError && MISTAKES.includes(error.code);
        if (!interactive || !mistake) throw error;
        session.say(`mlx-gemma: ${error.message}`);
      }
    }
    if (typed.type === "end") return;
  }
}

/** What a user at a terminal can mend. */
const MISTAKES: readonly string[] = ["usage", "context", "disk", "strict"];
