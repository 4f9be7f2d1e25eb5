import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkComparable, compareReports, readReport } from "../../src/bench/compare.js";
import { type Report, reportSchema, rowSchema } from "../../src/bench/report.js";
import { mulberry32 } from "../../src/bench/statistics.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { ABOUT, groupOf, planOf, reportWith, rowsAt, type SpeedUp } from "./observations.js";

const plan = planOf([groupOf("chat"), groupOf("prose")], [1, 3, 6]);

async function report(speedUp: SpeedUp, about: Partial<Report["about"]> = {}): Promise<Report> {
  return reportWith(await rowsAt(plan, speedUp), { about: { ...ABOUT, ...about } });
}

/** Speed-ups around 2 with so much noise. */
const noise = (seed: number, share: number, factor: SpeedUp = () => 1): SpeedUp => {
  const random = mulberry32(seed);
  return (job) => 2 * factor(job) * (1 + share * (random() - 0.5));
};

const against = (now: Report, before: Report, tolerance = 0.1) =>
  compareReports(now, before, { file: "f", tolerance });
const found = ({ figures }: ReturnType<typeof against>, finding: string) =>
  figures.filter((figure) => figure.finding === finding);

describe("compareReports", () => {
  it("finds a planted regression, where it is and only there", async () => {
    const slower: SpeedUp = ({ group, draftTokens }) =>
      group.suite === "prose" && draftTokens !== 0 && draftTokens !== 1 ? 0.7 : 1;
    const result = against(await report(noise(1, 0.1, slower)), await report(noise(2, 0.1)));
    expect(
      found(result, "regression").map(
        ({ suite, draftTokens, figure }) => `${suite} ${draftTokens} ${figure}`,
      ),
    ).toEqual([...["prose 3 tok/s", "prose 3 speed-up", "prose 6 tok/s", "prose 6 speed-up"]]);
    expect(result.figures).toHaveLength(2 * (1 + 3 * 2));
  });

  it("takes neither noise nor what is within the tolerance for one", async () => {
    let alarms = 0;
    for (let seed = 0; seed < 40; seed++) {
      const result = against(await report(noise(seed, 0.4)), await report(noise(1000 + seed, 0.4)));
      if (found(result, "regression").length > 0) alarms++;
    }
    expect(alarms).toBeLessThanOrEqual(4);
    const little = against(await report(noise(1, 0.02, () => 0.93)), await report(noise(2, 0.02)));
    expect(found(little, "regression")).toEqual([]);
    expect(
      found(
        against(await report(noise(1, 0.02, () => 0.93)), await report(noise(2, 0.02)), 0.05),
        "regression",
      ),
    ).toHaveLength(12);
  });

  it("tells improvements", async () => {
    const result = against(await report(noise(1, 0.1, () => 1.5)), await report(noise(2, 0.1)));
    expect(found(result, "improvement")).toHaveLength(12);
    expect(found(result, "regression")).toEqual([]);
  });

  it.each<[Partial<Report["about"]>, RegExp]>([
    [{ cpu: "other" }, /^speeds are not judged: cpu was c, is other$/],
    [{ kernels: "avx512" }, /kernels was avx2/],
    [{ readBandwidth: 5e8 }, /memory is read 50% slower than then/],
  ])("judges speed-ups alone on a machine with %j", async (about, note) => {
    const result = against(
      await report(
        noise(1, 0.1, () => 0.5),
        about,
      ),
      await report(noise(2, 0.1)),
    );
    expect(result.notes).toEqual([expect.stringMatching(note)]);
    expect(result.speedsJudged).toBe(false);
    expect(new Set(found(result, "regression").map(({ figure }) => figure))).toEqual(new Set(["speed-up"]));
    expect(
      found(result, "not judged").every(
        ({ figure, probability }) => figure === "tok/s" && probability === null,
      ),
    ).toBe(true);
  });

  it("judges nothing by three repetitions, and counts rows that the other has not", async () => {
    const now = await report(noise(1, 0.1, () => 0.5));
    const few = { ...now, rows: now.rows.map((row) => ({ ...row, samples: row.samples.slice(0, 3) })) };
    const unjudged = against(few, await report(noise(2, 0.1)));
    expect(found(unjudged, "not judged")).toHaveLength(14);
    expect(unjudged.notes).toEqual(["14 figures are not judged: that takes 4 repetitions in both runs"]);
    const before = await report(noise(2, 0.1));
    const { notes, figures } = against(now, { ...before, rows: before.rows.slice(0, 4) });
    expect(notes).toEqual(["4 of 8 rows are not in f"]);
    expect(figures).toHaveLength(7);
  });
});

describe("readReport", () => {
  const file = (content: string) => {
    const path = join(temporaryFolder(), "saved.json");
    writeFileSync(path, content);
    return path;
  };

  it("reads what was saved", async () => {
    const saved = await report(noise(1, 0.1));
    expect(readReport(file(JSON.stringify(saved)))).toEqual(saved);
    expect(() => checkComparable("f", saved, 64)).not.toThrow();
    expect(() => checkComparable("f", saved, 32)).toThrow(
      /--compare f: expected answers of --max-tokens 32, found 64/,
    );
  });

  it("refuses anything else in one line", async () => {
    const saved = await report(noise(1, 0.1));
    const cases: [string, RegExp][] = [
      ["{", /found no JSON/],
      ["[]", /expected what --save writes in this version, found a list of 0/],
      [JSON.stringify({ ...saved, version: 2 }), /at version/],
      [JSON.stringify({ ...saved, rows: [{}] }), /at rows\.0\.suite/],
    ];
    for (const [content, message] of cases) {
      const path = file(content);
      expect(() => readReport(path)).toThrow(
        expect.objectContaining({ code: "usage", message: expect.stringMatching(message) }),
      );
      expect(() => readReport(path)).toThrow(/^--compare [^\n]+$/);
    }
    expect(() => readReport("/nowhere/at/all")).toThrow(/found nothing there/);
    expect(() => readReport(temporaryFolder())).toThrow(/found a folder/);
  });
});

it("docs/bench.md names every key of the report and of its rows", () => {
  const docs = readFileSync(new URL("../../docs/bench.md", import.meta.url), "utf8");
  const keys = [...Object.keys(reportSchema.shape), ...Object.keys(rowSchema.shape)];
  expect(keys.filter((key) => !docs.includes(`\`${key}\``))).toEqual([]);
});
