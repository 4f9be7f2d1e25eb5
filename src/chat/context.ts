import { MlxGemmaError } from "../errors.js";
import type { ChatMessage } from "../text/chat-template.js";

/** The prompt of a chat, and how many of its oldest messages it leaves out. */
export interface FittedPrompt {
  readonly promptIds: readonly number[];
  readonly dropped: number;
}

/**
 * The prompt of a chat that leaves room for an answer: for all of it, or a quarter of the context if it may be longer.
 * What does not fit loses its oldest turns, and then so many of them that half of the context is free: else each of the
 * next turns would have to read all of the prompt anew. The last message stays.
 *
 * @param dropped messages that are left out already
 * @param encode ids of messages, the system turn's included
 * @throws MlxGemmaError `context` when the last message alone leaves no room for an answer
 */
export async function fitMessages({
  messages,
  dropped,
  contextTokens,
  answerTokens,
  encode,
}: {
  readonly messages: readonly ChatMessage[];
  readonly dropped: number;
  readonly contextTokens: number;
  readonly answerTokens: number;
  encode(messages: readonly ChatMessage[]): Promise<readonly number[]>;
}): Promise<FittedPrompt> {
  const from = async (start: number) => ({ promptIds: await encode(messages.slice(start)), dropped: start });
  const reserve = Math.min(answerTokens, Math.floor(contextTokens / 4));
  const whole = await from(dropped);
  if (whole.promptIds.length + reserve <= contextTokens) return whole;
  const starts = messages.flatMap(({ role }, index) => (role === "user" && index > dropped ? [index] : []));
  let fitted = await from(starts.pop() ?? dropped);
  // The prompt grows with every turn that stays: the earliest start that fits is found by halving.
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const tried = await from(starts[middle] ?? dropped);
    if (tried.promptIds.length <= contextTokens / 2) {
      fitted = tried;
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (fitted.promptIds.length < contextTokens) return fitted;
  throw new MlxGemmaError(
    "context",
    `the message alone makes a prompt of ${fitted.promptIds.length} tokens, the context has ${contextTokens}, answer included; shorten it`,
  );
}
