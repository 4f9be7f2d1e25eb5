import { describe, expect, it } from "vitest";
import type { DraftPicker } from "../../src/drafter/drafter.js";
import { pickToken } from "../../src/drafter/pick.js";
import * as ops from "../../src/mlx/ops.js";
import { GREEDY } from "../../src/speculative/sampling.js";
import { floats, ints, numbers } from "../mlx/helpers.js";

const scores = () => ({ logits: floats([0, 3, 1, 2], [1, 4]), tokens: ints([40, 30, 20, 10], [1, 4]) });

const sampling = (seen: number[] = []): DraftPicker => ({
  kind: "sample",
  probabilities: (logits) => ops.probabilities(logits, { ...GREEDY, temperature: 1 }),
  key: (position) => {
    seen.push(position);
    return [7, position];
  },
});

describe("picking", () => {
  it("greedily maps the best candidate to its token", async () => {
    const picked = pickToken(scores(), { kind: "greedy" }, 5);
    expect(picked.token.shape).toEqual([1, 1]);
    expect(picked.token.dtype).toBe("int32");
    expect(await numbers(picked.token)).toEqual([30]);
    expect(picked.distribution).toBeUndefined();
  });

  it("greedily takes the place itself over the whole vocabulary", async () => {
    expect(await numbers(pickToken({ logits: scores().logits }, { kind: "greedy" }, 5).token)).toEqual([1]);
  });

  it("by sampling gives q over the candidates, in float32, and draws with the position's key", async () => {
    const positions: number[] = [];
    const { logits, tokens } = scores();
    const picked = pickToken({ logits: ops.astype(logits, "bfloat16"), tokens }, sampling(positions), 5);
    const { distribution } = picked;
    if (!distribution?.tokens) throw new Error("no distribution");
    const total = [0, 3, 1, 2].reduce((sum, x) => sum + Math.exp(x), 0);
    expect(distribution.probabilities.dtype).toBe("float32");
    for (const [i, q] of (await numbers(distribution.probabilities)).entries())
      expect(q).toBeCloseTo(Math.exp([0, 3, 1, 2][i] ?? 0) / total, 5);
    expect(await numbers(distribution.tokens)).toEqual([40, 30, 20, 10]);
    expect(picked.token.shape).toEqual([1, 1]);
    expect(positions).toEqual([5]);
  });

  it("by sampling draws each candidate as often as q says, the same for the same position", async () => {
    const draws = 4000;
    const tokens: number[] = [];
    for (let position = 0; position < draws; position += 500) {
      const part = Array.from({ length: 500 }, (_, i) => pickToken(scores(), sampling(), position + i).token);
      tokens.push(...(await numbers(ops.concatenate(part, 1))));
      for (const token of part) token.dispose();
    }
    const total = [0, 1, 2, 3].reduce((sum, x) => sum + Math.exp(x), 0);
    const [counts, expected] = [
      [40, 20, 10, 30].map((id) => tokens.filter((t) => t === id).length),
      [0, 1, 2, 3].map((x) => (draws * Math.exp(x)) / total),
    ];
    const chiSquare = counts.reduce(
      (sum, n, i) => sum + (n - (expected[i] ?? 0)) ** 2 / (expected[i] ?? 1),
      0,
    );
    expect(chiSquare).toBeLessThan(16.3); // 0.1 % of 3 degrees of freedom.
    const again = pickToken(scores(), sampling(), 17).token;
    expect(await numbers(again)).toEqual([tokens[17]]);
  });
});
