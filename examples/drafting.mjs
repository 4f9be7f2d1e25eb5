// Does drafting pay? The same ids with every number of draft tokens, and how fast they come.
import { generate, load } from "mlx-gemma";

const pair = await load({ model: process.argv[2], draft: "assistant" });
try {
  const promptIds = await pair.encodePrompt("Write a letter to my teacher.");
  await answer(promptIds, 0); // The first run pays for what is done once.
  const plain = await answer(promptIds, 0);
  for (const draftTokens of [1, 3, 6]) {
    const { tokenIds, stats } = await answer(promptIds, draftTokens);
    const same = tokenIds.join() === plain.tokenIds.join();
    const speedUp = stats.tokensPerSecond / plain.stats.tokensPerSecond;
    console.log(
      `K = ${draftTokens}: ${speedUp.toFixed(2)} x plain, ${stats.tokensPerStep.toFixed(2)} tokens a step, ` +
        `${same ? "the same ids" : "OTHER IDS"}; exact: ${stats.exact}`,
    );
  }
} finally {
  pair[Symbol.dispose]();
}

/** The last event of an answer. */
async function answer(promptIds, draftTokens) {
  for await (const event of generate(pair, { promptIds, draftTokens, maxTokens: 128 })) {
    if (event.type === "end") return event;
  }
}
