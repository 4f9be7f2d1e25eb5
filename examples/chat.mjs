// A conversation: of each prompt only what is new is processed, the rest is in the K/V cache.
import { Conversation, load } from "mlx-gemma";

const pair = await load({ model: process.argv[2], draft: "assistant" });
const conversation = new Conversation(pair, { system: "You are a storyteller." });
try {
  for (const question of ["Tell me a story about a fox.", "What did the fox eat?", "Thank you!"]) {
    console.log(`> ${question}`);
    for await (const event of conversation.send(question, { maxTokens: 60 })) {
      if (event.type !== "end") continue;
      const { cachedPromptTokens, promptTokens } = event.stats;
      console.log(
        `${event.text}\n(${cachedPromptTokens} of ${promptTokens} prompt tokens were in the cache)\n`,
      );
    }
  }
} finally {
  conversation[Symbol.dispose]();
  pair[Symbol.dispose]();
}
