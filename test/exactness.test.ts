import { describe, expect, it } from "vitest";
import { load } from "../src/load.js";
import { run } from "./support/generation.js";
import { heldOutIds } from "./support/held-out.js";

// exactness-f32.test.ts and exactness-bf16.test.ts hold drafted text against plain text; here is what else must not matter.
const how = { draftTokens: 3, maxTokens: 80, ignoreEos: true };

describe("the embedded pair's text", () => {
  it("is the same when two generations take turns", async () => {
    using pair = await load({ draft: "assistant" });
    const prompts = (await heldOutIds(pair)).slice(0, 2);
    const alone = [];
    for (const promptIds of prompts) alone.push((await run(pair, { ...how, promptIds })).tokenIds);
    const together = await Promise.all(prompts.map((promptIds) => run(pair, { ...how, promptIds })));
    expect(together.map(({ tokenIds }) => tokenIds)).toEqual(alone);
  });

  it("is the same with any number of threads and any chunk of the prompt", async () => {
    const texts = [];
    for (const threads of [1, 2, 3]) {
      using pair = await load({ draft: "assistant", threads });
      const [promptIds = []] = await heldOutIds(pair);
      for (const chunkSize of [1, 5, 512]) {
        texts.push((await run(pair, { ...how, promptIds, chunkSize })).tokenIds.join());
      }
    }
    expect(texts).toHaveLength(9);
    expect(new Set(texts).size).toBe(1);
  });
});
