import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { conclude } from "../../src/speculative/accept.js";
import { GREEDY } from "../../src/speculative/sampling.js";
import { greedyVerifier, samplingVerifier } from "../../src/speculative/verifier.js";

describe("conclude", () => {
  it("keeps the longest accepted prefix and goes on with the token of that place", () => {
    const verdict = { drafts: [10, 11, 12], accepted: [true, false, true], next: [20, 21, 22, 23] };
    expect(conclude(verdict)).toEqual({ accepted: 1, tokens: [10, 21], bonus: 21 });
  });

  it("takes the bonus token after the last draft when all are accepted", () => {
    const verdict = { drafts: [10, 11], accepted: [true, true], next: [20, 21, 22] };
    expect(conclude(verdict)).toEqual({ accepted: 2, tokens: [10, 11, 22], bonus: 22 });
  });

  it("is plain decoding when nothing was proposed", () => {
    expect(conclude({ drafts: [], accepted: [], next: [7] })).toEqual({ accepted: 0, tokens: [7], bonus: 7 });
  });

  it("refuses a verdict that has no token to go on with", () => {
    expect(() => conclude({ drafts: [1], accepted: [true], next: [2] })).toThrow(RangeError);
  });

  it("emits accepted + 1 tokens, never one after a rejected draft", () => {
    const verdicts = fc.array(fc.tuple(fc.nat(99), fc.boolean()), { maxLength: 15 });
    fc.assert(
      fc.property(verdicts, (places) => {
        const next = [...places, null].map((_, place) => 1000 + place);
        const drafts = places.map(([id]) => id);
        const accepted = places.map(([, flag]) => flag);
        const result = conclude({ drafts, accepted, next });
        expect(result.tokens).toHaveLength(result.accepted + 1);
        expect(accepted.slice(0, result.accepted).every(Boolean)).toBe(true);
        expect(accepted[result.accepted] ?? false).toBe(false);
        expect(result.bonus).toBe(1000 + result.accepted);
      }),
    );
  });
});

describe("a verdict", () => {
  const sampled = samplingVerifier({ ...GREEDY, temperature: 1 });

  it("is split into drafts, flags and next tokens", () => {
    const verdict = { drafts: [5, 6], accepted: [true, false], next: [7, 8, 9] };
    expect(sampled.read(Int32Array.of(5, 6, 1, 0, 7, 8, 9))).toEqual(verdict);
  });

  it("accepts what the target takes itself, where it is greedy", () => {
    const verdict = { drafts: [5, 6], accepted: [true, false], next: [5, 8, 9] };
    expect(greedyVerifier.read(Int32Array.of(5, 6, 5, 8, 9))).toEqual(verdict);
  });

  it.each([greedyVerifier, sampled])("is read without drafts", (verifier) => {
    expect(verifier.read(Int32Array.of(4))).toEqual({ drafts: [], accepted: [], next: [4] });
  });
});
