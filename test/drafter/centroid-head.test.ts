import { describe, expect, it } from "vitest";
import { type CentroidHead, centroidHead, checkOrdering } from "../../src/drafter/centroid-head.js";
import { denseHead } from "../../src/drafter/dense-head.js";
import { evaluate, fromBytes, type MlxArray } from "../../src/mlx/array.js";
import { floats, ints, liveArrays, numbers, settledArrays } from "../mlx/helpers.js";

const VOCAB = 6;
const CLUSTERS = 3;
// Clusters {4, 0}, {2, 5}, {1, 3}.
const ORDERING = [4, 0, 2, 5, 1, 3];
// Token t scores t + 1 against h = (1, 0).
const TABLE = Array.from({ length: VOCAB }, (_, id) => [id + 1, -id]).flat();
// The clusters score 1, 3, 2.
const CENTROIDS = [1, 9, 3, 9, 2, 9];

const head = (topK: number, ordering: readonly number[] = ORDERING) => headOf(topK, ints(ordering));

async function headOf(topK: number, tokenOrdering: MlxArray): Promise<CentroidHead> {
  await evaluate([[tokenOrdering]]);
  const weights = {
    centroids: floats(CENTROIDS, [CLUSTERS, 2]),
    tokenOrdering,
    embedding: floats(TABLE, [VOCAB, 2]),
  };
  return centroidHead(weights, topK, "assistant.safetensors");
}

const H = () => floats([1, 0], [1, 1, 2]);

describe("the centroid head", () => {
  it.each([
    [1, [2, 5], [1]],
    [2, [1, 2, 3, 5], [1, 2]],
    [3, [0, 1, 2, 3, 4, 5], [0, 1, 2]],
  ])("scores the tokens of the best %d clusters, each with its own row", async (topK, tokens, clusters) => {
    const made = await head(topK);
    expect((await numbers(made.clusters(H()))).sort()).toEqual(clusters);
    const scores = made.scores(H());
    expect(scores.logits.shape).toEqual([1, tokens.length]);
    expect(scores.tokens?.shape).toEqual([1, tokens.length]);
    if (!scores.tokens) throw new Error("no tokens");
    const ids = await numbers(scores.tokens);
    expect([...ids].sort()).toEqual(tokens);
    expect(await numbers(scores.logits)).toEqual(ids.map((id) => id + 1));
    expect(await numbers(made.largest(H()))).toEqual([Math.max(...ids)]);
    made[Symbol.dispose]();
  });

  it("is the same with ids in int64, and takes none for another that has the same low bits", async () => {
    const stored = (ids: readonly bigint[]) =>
      fromBytes(new Uint8Array(BigInt64Array.from(ids).buffer), [ids.length], "int64");
    const made = await headOf(3, stored(ORDERING.map(BigInt)));
    const { tokens } = made.scores(H());
    expect(tokens && [...(await numbers(tokens))].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    made[Symbol.dispose]();
    for (const id of [2n ** 32n + 4n, -(2n ** 32n) + 4n, 2n ** 63n - 1n]) {
      const refused = headOf(3, stored([id, ...ORDERING.slice(1).map(BigInt)]));
      await expect(refused).rejects.toMatchObject({ code: "checkpoint" });
    }
  });

  it("gives its memory back", async () => {
    const before = await settledArrays();
    const made = await head(2);
    made[Symbol.dispose]();
    expect(liveArrays()).toBe(before);
  });

  it.each([
    ["an id twice", [4, 0, 2, 5, 1, 4], "id 4 twice, at places 0 and 5"],
    ["an id past the vocabulary", [4, 0, 2, 6, 1, 3], "id 6 at place 3"],
    ["a negative id", [4, 0, 2, -1, 1, 3], "id -1 at place 3"],
    ["too few entries", [4, 0, 2, 5], "4 entries"],
  ])("refuses a token_ordering with %s", async (_, ordering, found) => {
    await expect(head(1, ordering)).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringMatching(
        new RegExp(`^assistant.safetensors: token_ordering .*6 token ids.*${found}`),
      ),
    });
  });

  it("refuses clusters of unequal size", () => {
    expect(() => checkOrdering(Int32Array.from(ORDERING), VOCAB, 4, "x")).toThrow("4 does not divide");
    expect(() => checkOrdering(Int32Array.from(ORDERING), VOCAB, CLUSTERS, "x")).not.toThrow();
  });
});

describe("the dense head", () => {
  it("scores the whole vocabulary in order", async () => {
    const made = denseHead(floats(TABLE, [VOCAB, 2]));
    const scores = made.scores(H());
    expect(scores.tokens).toBeUndefined();
    expect(scores.logits.shape).toEqual([1, VOCAB]);
    expect(await numbers(scores.logits)).toEqual([1, 2, 3, 4, 5, 6]);
    made[Symbol.dispose]();
  });
});
