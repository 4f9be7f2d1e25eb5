import type { Conversation, ConversationEvent } from "../../chat/conversation.js";
import { MlxGemmaError } from "../../errors.js";
import type { LoadedPair } from "../../load.js";
import type { Warning } from "../../warnings.js";
import type { ChatFlags } from "../commands/chat.js";
import { drafting } from "../open-pair.js";
import { colours } from "../ui/colour.js";
import type { Progress } from "../ui/progress.js";
import { statisticsLine, statisticsTable, writeStatistics } from "../ui/statistics.js";
import { forTerminal } from "../ui/terminal-text.js";
import { type EndEvent, showAnswer } from "./answer.js";
import type { Interrupts } from "./interrupts.js";
import { answerOptions, type Settings, settingsOf } from "./settings.js";

/** A conversation on the command line: what its commands work on. */
export class ChatSession {
  readonly settings: Settings;
  /** Where it was saved or came from. */
  file: string | undefined;
  #last: EndEvent | undefined;
  #again = 0;
  /** Whether it was said that drafting does not pay: once is enough for a chat. */
  #findingTold = false;

  constructor(
    readonly conversation: Conversation,
    readonly pair: LoadedPair,
    private readonly flags: ChatFlags,
    private readonly progress: Progress,
    private readonly interrupts: Interrupts,
    /** Of the pair and the options. */
    private readonly warnings: readonly Warning[],
  ) {
    this.settings = { ...settingsOf(flags), ...drafting(pair, flags) };
  }

  /** What a command has to say, which others may have written: on stderr, for stdout is the answers'. */
  readonly say = (text: string): void => {
    process.stderr.write(`${forTerminal(text)}\n`);
  };

  readonly columns = (): number =>
    process.stderr.isTTY ? process.stderr.columns || 80 : Number.POSITIVE_INFINITY;

  async send(message: string): Promise<void> {
    this.#again = 0;
    await this.#answer((signal) =>
      this.conversation.send(message, { ...answerOptions(this.settings), signal }),
    );
  }

  async regenerate(): Promise<void> {
    this.#again += 1;
    if (this.settings.temperature === 0) {
      this.progress.note("at temperature 0 an answer is always the same; /temp changes it");
    }
    await this.#answer((signal) =>
      this.conversation.regenerate({ ...answerOptions(this.settings, this.#again), signal }),
    );
  }

  /** @throws MlxGemmaError `usage` where the checkpoint can't */
  async think(on: boolean): Promise<void> {
    if (on && !(await this.conversation.canThink())) {
      throw new MlxGemmaError("usage", "the chat template of this checkpoint can't ask for thoughts");
    }
    this.conversation.thinking = on;
  }

  /** `/stats`. */
  tellStatistics(): void {
    const { contextTokens, cachedTokens, messages, dropped } = this.conversation;
    if (this.#last) {
      const { stats, stopReason } = this.#last;
      const chalk = colours(this.flags.color, process.stderr);
      const columns = this.columns();
      process.stderr.write(`${statisticsLine(stats, stopReason, chalk, columns)}\n`);
      process.stderr.write(`${statisticsTable(stats, chalk, columns)}\n`);
    }
    this.say(`context: ${cachedTokens} of ${contextTokens} tokens`);
    this.say(`turns: ${messages.length / 2}${dropped > 0 ? `, ${dropped / 2} left out` : ""}`);
  }

  async #answer(ask: (signal: AbortSignal) => AsyncGenerator<ConversationEvent, void>): Promise<void> {
    const { progress, flags, settings } = this;
    const { json = false, color } = flags;
    const allow = [
      ...(flags.allow ?? []),
      ...(this.#findingTold ? (["drafting-does-not-pay"] as const) : []),
    ];
    const standing = this.warnings;
    try {
      const end = await this.interrupts.during((signal) =>
        showAnswer(ask(signal), { progress, shown: settings.shown, json, color, standing, allow }),
      );
      this.#last = end;
      this.#findingTold ||= end.warnings.some(({ code }) => code === "drafting-does-not-pay");
      writeStatistics(end, flags);
    } finally {
      progress.stop();
    }
  }
}
