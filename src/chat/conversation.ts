import { checkMessages, checkOptions } from "../check-options.js";
import { MlxGemmaError } from "../errors.js";
import { type GenerationEvent, generate, type StopReason } from "../generate.js";
import type { LoadedPair } from "../load.js";
import { DEFAULTS, type GenerateOptions } from "../options.js";
import { PromptCache } from "../prompt-cache.js";
import type { GenerationStats } from "../speculative/stats.js";
import { type ChannelPiece, ChannelSplitter } from "../text/channels.js";
import type { ChatMessage } from "../text/chat-template.js";
import { type Warning, WarningList } from "../warnings.js";
import { fitMessages } from "./context.js";

export interface ConversationOptions {
  /** The system turn, which stays when old turns have to go. */
  readonly system?: string | undefined;
  /** Ask the model to think before it answers. Default false. */
  readonly thinking?: boolean | undefined;
  /** The most tokens that prompt and answer may have together; default and upper limit: the model's positions. */
  readonly contextTokens?: number | undefined;
}

/** How an answer is written. */
export type AnswerOptions = Omit<GenerateOptions, "promptIds" | "cache" | "specialTokens" | "ignoreEos">;

export type ConversationEvent =
  /** So many of the oldest messages are left out of the prompt from here on, for want of room. */
  | { readonly type: "dropped"; readonly messages: number; readonly warning: Warning }
  | Extract<GenerationEvent, { readonly type: "prefill" }>
  | { readonly type: "tokens"; readonly ids: readonly number[]; readonly pieces: readonly ChannelPiece[] }
  | {
      readonly type: "end";
      readonly stopReason: StopReason;
      /** The answer without its thoughts. */
      readonly text: string;
      readonly thoughts: string;
      readonly tokenIds: readonly number[];
      readonly stats: GenerationStats;
      /** Of this answer, that of a `dropped` event included. */
      readonly warnings: readonly Warning[];
    };

/**
 * A chat with a loaded pair that keeps its K/V caches: of each prompt only what the caches do not hold yet is processed
 * (`stats.cachedPromptTokens` tells how much they held). Messages can be taken back, answered anew or replaced; what
 * the prompts have in common is kept as far as the caches can be taken back, see {@link PromptCache}. Thoughts stay in
 * `messages` and are not given back to the model. Tool calls come as text.
 *
 * One answer at a time. Dispose it before its pair.
 */
export class Conversation implements Disposable {
  /** The system turn of the next prompt. */
  system: string | undefined;
  /** Whether the next prompt asks the model to think. */
  thinking: boolean;
  /** The most tokens that prompt and answer may have together. */
  readonly contextTokens: number;
  readonly #pair: LoadedPair;
  readonly #cache: PromptCache;
  #messages: ChatMessage[] = [];
  /** Messages at the beginning that prompts leave out. */
  #dropped = 0;
  #busy = false;
  /** How often the last message was answered anew. */
  #again = 0;

  /** @throws MlxGemmaError `usage` for a context out of range, `checkpoint` for a pair without a tokenizer */
  constructor(pair: LoadedPair, options: ConversationOptions = {}) {
    checkOptions("Conversation", options);
    const positions = pair.target.maxPositionEmbeddings;
    const { system, thinking = false, contextTokens = positions } = options;
    if (!Number.isInteger(contextTokens) || contextTokens < 1) {
      throw new MlxGemmaError("usage", `context must be a whole number of at least 1; got ${contextTokens}`);
    }
    if (!pair.tokenizer) {
      throw new MlxGemmaError(
        "checkpoint",
        "expected a tokenizer.json beside the weights, found none, and a chat needs text; copy it there",
      );
    }
    this.#pair = pair;
    this.#cache = new PromptCache(pair);
    this.system = system;
    this.thinking = thinking;
    this.contextTokens = Math.min(contextTokens, positions);
  }

  /** User's and model's messages in turn, the system turn left out. */
  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** Messages at the beginning that no longer fit into the context. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Tokens whose keys and values are held. */
  get cachedTokens(): number {
    return this.#cache.ids.length;
  }

  /**
   * Asks, and gives the answer as it is written, from the first `next()` on: the messages are those of then. Both become
   * part of the conversation with the `end` event, also of an interrupted answer; not when nothing of it was written, the
   * loop is left early, or it fails.
   *
   * @throws MlxGemmaError `context` for a message that does not fit even alone, `usage`, and what `generate` throws
   */
  send(text: string, options: AnswerOptions = {}): AsyncGenerator<ConversationEvent, void> {
    return this.#answer(() => ({ messages: [...this.#messages, { role: "user", content: text }], options }));
  }

  /**
   * Answers the last message anew, as `send`; its answer stays until the new one is there. With greedy decoding and the
   * same options it is the same answer. When sampling without a `seed`, each of a message's answers has another one: 0 the
   * first, 1 the second, and so on.
   *
   * @throws MlxGemmaError `usage` when nothing was asked yet, and as `send`
   */
  regenerate(options: AnswerOptions = {}): AsyncGenerator<ConversationEvent, void> {
    const asked = () => {
      const last = this.#messages.findLastIndex(({ role }) => role === "user");
      if (last < 0) throw new MlxGemmaError("usage", "there is no message yet to answer anew");
      return this.#messages.slice(0, last + 1);
    };
    asked(); // What can be told at once is.
    return this.#answer(() => {
      const messages = asked();
      this.#again += 1;
      return { messages, options: { ...options, seed: options.seed ?? this.#again } };
    });
  }

  /** Takes back the last message and its answer. Returns the message; undefined when there is none. */
  undo(): string | undefined {
    this.#refuseBusy();
    const asked = this.#messages.findLastIndex(({ role }) => role === "user");
    if (asked < 0) return undefined;
    const { content } = this.#messages[asked] ?? {};
    this.#replace(this.#messages.slice(0, asked));
    return content;
  }

  /** Goes on from other messages. @throws MlxGemmaError `usage` unless they are user's and model's in turn */
  restore(messages: readonly ChatMessage[]): void {
    this.#refuseBusy();
    checkMessages(messages);
    const wrong = messages.findIndex(({ role }, index) => role !== (index % 2 === 0 ? "user" : "assistant"));
    if (wrong >= 0) {
      const expected = wrong % 2 === 0 ? "user" : "assistant";
      throw new MlxGemmaError(
        "usage",
        `message ${wrong}: expected one of role ${expected}, found ${messages[wrong]?.role}`,
      );
    }
    if (messages.length % 2 === 1) {
      throw new MlxGemmaError("usage", "expected an answer to the last message, found none");
    }
    this.#dropped = 0;
    this.#replace([...messages]);
  }

  /** Whether the checkpoint's chat template can ask the model to think. */
  async canThink(): Promise<boolean> {
    const messages: readonly ChatMessage[] = [{ role: "user", content: "?" }];
    const [plain, thinking] = await Promise.all(
      [false, true].map((on) => this.#pair.encodeChat(messages, { thinking: on })),
    );
    return plain?.join() !== thinking?.join();
  }

  [Symbol.dispose](): void {
    this.#cache[Symbol.dispose]();
  }

  /** @param ask what is to be answered, and how; called once no other answer can change the messages */
  async *#answer(
    ask: () => { readonly messages: readonly ChatMessage[]; readonly options: AnswerOptions },
  ): AsyncGenerator<ConversationEvent, void> {
    this.#refuseBusy();
    this.#busy = true;
    try {
      const { messages, options } = ask();
      const { maxTokens = DEFAULTS.maxTokens } = options;
      const fitted = await fitMessages({
        messages,
        dropped: Math.min(this.#dropped, messages.length - 1),
        contextTokens: this.contextTokens,
        answerTokens: maxTokens,
        encode: (turns) => this.#encode(turns),
      });
      const warnings = new WarningList(options);
      if (fitted.dropped > this.#dropped) {
        const messages = fitted.dropped - this.#dropped;
        yield { type: "dropped", messages, warning: warnings.add("turns-dropped", turnsDropped(messages)) };
      }
      const room = this.contextTokens - fitted.promptIds.length;
      const events = generate(this.#pair, {
        ...options,
        maxTokens: Math.min(maxTokens, room),
        promptIds: fitted.promptIds,
        specialTokens: true,
        cache: this.#cache,
      });
      const splitter = new ChannelSplitter();
      const parts = { text: "", thoughts: "" };
      const taken = (pieces: readonly ChannelPiece[]) => {
        for (const { text, thought } of pieces) parts[thought ? "thoughts" : "text"] += text;
        return pieces;
      };
      for await (const event of events) {
        if (event.type === "prefill") yield event;
        else if (event.type === "tokens") {
          const pieces = event.pieces.flatMap((piece) => splitter.push(piece));
          yield { type: "tokens", ids: event.ids, pieces: taken(pieces) };
        } else {
          const rest = splitter.finish();
          if (rest.length > 0) yield { type: "tokens", ids: [], pieces: taken(rest) };
          const { text: content, tokenIds, stats } = event;
          const full = event.stopReason === "max tokens" && room < maxTokens;
          if (full) {
            const message = `the answer ends here: prompt and answer fill the context of ${this.contextTokens} tokens`;
            warnings.add("context-full", message);
          }
          if (tokenIds.length > 0) {
            this.#dropped = fitted.dropped;
            if (messages.length > this.#messages.length) this.#again = 0; // It was a new one.
            this.#messages = [...messages, { role: "assistant", content }];
          }
          const stopReason = full ? "context full" : event.stopReason;
          const all = [...warnings.all, ...event.warnings];
          yield { type: "end", stopReason, ...parts, tokenIds, stats, warnings: all };
        }
      }
    } finally {
      this.#busy = false;
    }
  }

  #encode(turns: readonly ChatMessage[]): Promise<number[]> {
    const { system, thinking } = this;
    const first: readonly ChatMessage[] = system === undefined ? [] : [{ role: "system", content: system }];
    return this.#pair.encodeChat([...first, ...turns], { thinking });
  }

  #replace(messages: ChatMessage[]): void {
    this.#messages = messages;
    this.#again = 0;
    this.#dropped = Math.min(this.#dropped, messages.length);
  }

  #refuseBusy(): void {
    if (this.#busy) {
      throw new MlxGemmaError("usage", "the conversation is busy: expected one answer at a time");
    }
  }
}

function turnsDropped(messages: number): string {
  const turns = messages / 2;
  return `context full: the oldest ${turns} ${turns === 1 ? "turn is" : "turns are"} left out from here on; the system turn stays`;
}
