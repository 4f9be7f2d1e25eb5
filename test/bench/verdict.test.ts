import { describe, expect, it } from "vitest";
import { verdictOf } from "../../src/bench/verdict.js";
import { groupOf, planOf, rowsAt, type SpeedUp } from "./observations.js";

const groups = [groupOf("chat"), groupOf("prose")];
/** A few percent of noise that repeats. */
const NOISE = [1, 1.03, 0.98, 1.01, 0.99];
const noisy =
  (table: Readonly<Record<string, Readonly<Record<number, number>>>>, spread = 1): SpeedUp =>
  ({ group, draftTokens, repetition }) =>
    (table[group.suite]?.[Number(draftTokens)] ?? 1) * ((NOISE[repetition - 1] ?? 1) - 1) * spread +
    (table[group.suite]?.[Number(draftTokens)] ?? 1);

async function verdict(speedUp: SpeedUp, { acceptance = 0.5, ks = [1, 3, 6], repetitions = 5 } = {}) {
  return verdictOf(await rowsAt(planOf(groups, ks, repetitions), speedUp, acceptance));
}

describe("the verdict", () => {
  it("names the best K and its speed-up on every suite", async () => {
    expect(
      await verdict(noisy({ chat: { 1: 1.5, 3: 2.1, 6: 1.8 }, prose: { 1: 1.2, 3: 1.4, 6: 1.3 } })),
    ).toEqual({
      kind: "drafting pays",
      draftTokens: 3,
      text: "K = 3 is best here: 2.10x (2.06–2.16x) on chat, 1.40x (1.37–1.44x) on prose.",
    });
  });

  it("names a suite that wants another K", async () => {
    const { text } = await verdict(noisy({ chat: { 3: 2.1, 6: 1.5 }, prose: { 3: 1.4, 6: 1.7 } }));
    expect(text).toMatch(
      /^K = 3 is best here: .* on prose; for prose use K = 6 \(1\.70x \(1\.67–1\.75x\)\)\.$/,
    );
  });

  it("names K that are as good within the noise", async () => {
    const { text } = await verdict(
      noisy({ chat: { 1: 1.2, 3: 2.1, 6: 2.09 }, prose: { 1: 1.2, 3: 1.4, 6: 1.4 } }),
    );
    expect(text).toMatch(/^K = 3 is best here \(6 as good within the noise\): /);
  });

  it("says where it pays when it does not everywhere", async () => {
    const result = await verdict(
      noisy({ chat: { 1: 1.3, 3: 1.2, 6: 0.8 }, prose: { 1: 0.6, 3: 0.5, 6: 0.4 } }),
    );
    expect(result).toEqual({
      kind: "drafting pays in part",
      draftTokens: null,
      text: "Drafting pays on chat (K = 1, 1.30x (1.27–1.34x)); not on prose: 0.60x (0.59–0.62x).",
    });
  });

  it("says on which suite it can't be told", async () => {
    const speedUp: SpeedUp = ({ group, repetition }) =>
      (group.suite === "chat" ? 2 : [0.8, 1.2, 0.9, 1.3, 1.1][repetition - 1]) ?? 1;
    expect((await verdict(speedUp, { ks: [3] })).text).toBe(
      "K = 3 is best here: 2.00x (2.00–2.00x) on chat, 1.10x (0.80–1.30x, too noisy to tell) on prose.",
    );
    const slow: SpeedUp = (job) => (job.group.suite === "chat" ? 1.1 : speedUp(job) * 0.9);
    expect((await verdict(slow, { ks: [3] })).text).toBe(
      "Drafting pays on chat (K = 3, 1.10x (1.10–1.10x)); not for certain on prose: 0.99x (0.72–1.17x, too noisy to tell).",
    );
  });

  it("blames acceptance where more of it would do", async () => {
    const result = await verdict(noisy({ chat: { 3: 0.8 }, prose: { 3: 0.8 } }), {
      ks: [3],
      acceptance: 0.1,
    });
    expect(result.kind).toBe("drafting does not pay");
    expect(result.text).toMatch(
      /at K = 3, the best, 0\.80x .*; acceptance is the reason: 10% of the drafts are accepted, and break-even is at 2[0-9]%, as a round takes as long as 1\.6 plain steps\.$/,
    );
  });

  it("blames the cost of a round where no acceptance would", async () => {
    const result = await verdict(noisy({ chat: { 1: 0.4 }, prose: { 1: 0.4 } }), {
      ks: [1],
      acceptance: 0.5,
    });
    expect(result.text).toMatch(
      /the cost of a round is the reason: a round takes as long as 3\.7 plain steps and gives at most 2 tokens, so no acceptance could make it pay\.$/,
    );
  });

  it("says that the machine was too noisy", async () => {
    const result = await verdict(noisy({ chat: { 3: 1 }, prose: { 3: 1 } }), { ks: [3] });
    expect(result.kind).toBe("too noisy to tell");
    expect(result.text).toMatch(
      /^Too noisy to tell whether drafting pays: at K = 3, the best, .*--repetitions/,
    );
  });

  it("and that there are too few repetitions", async () => {
    const result = await verdict(noisy({ chat: { 3: 3 }, prose: { 3: 3 } }), { ks: [3], repetitions: 4 });
    expect(result.kind).toBe("too few repetitions to tell");
  });

  it("has no opinion on plain decoding alone, nor on nothing", async () => {
    expect(await verdict(() => 1, { ks: [] })).toMatchObject({
      kind: "plain decoding only",
      text: "Plain decoding: 100.0 tok/s on chat, 100.0 tok/s on prose.",
    });
    expect(verdictOf([]).kind).toBe("nothing finished");
  });

  it("asks for more repetitions only where there were no more", async () => {
    const rows = await rowsAt(planOf(groups, [3], 2), () => 2);
    expect(verdictOf(rows).text).toMatch(/^Too few repetitions to tell: .*; give --repetitions 5 or more\.$/);
    expect(verdictOf(rows, false).text).toMatch(
      /^Too few repetitions to tell: .*; the bench was interrupted\.$/,
    );
  });

  it("leaves out a suite of which no drafted repetition is whole", async () => {
    const rows = await rowsAt(planOf(groups, [3]), () => 2);
    const { text } = verdictOf(
      rows.filter(({ suite, draftTokens }) => suite === "chat" || draftTokens === 0),
    );
    expect(text).toBe("K = 3 is best here: 2.00x (2.00–2.00x) on chat.");
  });

  it("tells groups apart by context and sampling where they differ in them", async () => {
    const both = [groupOf("chat", { context: 512 }), groupOf("chat", { context: 4096 })];
    const speedUp: SpeedUp = ({ group }) => (group.context === 512 ? 2 : 1.5);
    expect(verdictOf(await rowsAt(planOf(both, [3]), speedUp)).text).toMatch(
      /2\.00x \(.*\) on chat at 512, 1\.50x \(.*\) on chat at 4096\.$/,
    );
  });
});
