import { describe, expect, it } from "vitest";
import { campaign, SCENARIOS } from "./kills/kills.js";

const KILLS = 4;
const SEED = Number(process.env.FC_SEED ?? 1);
const CONTROL = "in-place";

// `npm run faults:kills` is the same with 200 kills of each.
describe("a command that is ended by SIGKILL, at a change of a file or by the clock", () => {
  it.each(Object.keys(SCENARIOS).filter((name) => name !== CONTROL))(
    "loses nothing, and the next run heals: %s",
    async (name) => {
      const { failures, killed, healed } = await campaign(name, { kills: KILLS, seed: SEED });
      expect(failures).toEqual([]);
      expect(killed).toBeGreaterThanOrEqual(KILLS);
      expect(healed).toBeGreaterThan(0);
    },
    600_000,
  );

  it("is found out where it writes in place", async () => {
    const { failures } = await campaign(CONTROL, { kills: 12, seed: SEED });
    expect(failures[0]?.what).toMatch(/neither as before nor whole/);
  });
});
