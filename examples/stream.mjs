// An answer as it is decided: drafted tokens in green, at most ten seconds of it.
import { styleText } from "node:util";
import { generate, load } from "mlx-gemma";

const pair = await load({ model: process.argv[2], draft: "assistant" });
try {
  const promptIds = await pair.encodePrompt("Tell me a story about a fox.");
  for await (const event of generate(pair, {
    promptIds,
    maxTokens: 80,
    signal: AbortSignal.timeout(10_000),
  })) {
    if (event.type === "tokens") {
      for (const { text, drafted } of event.pieces)
        process.stdout.write(drafted ? styleText("green", text) : text);
    }
    if (event.type === "end") {
      const { tokens, tokensPerStep } = event.stats;
      console.log(`\n\n${tokens} tokens, ${tokensPerStep.toFixed(2)} a step; ended by: ${event.stopReason}`);
    }
  }
} finally {
  pair[Symbol.dispose]();
}
