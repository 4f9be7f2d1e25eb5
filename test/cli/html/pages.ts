import type { Report } from "../../../src/bench/report.js";
import { groupOf, planOf, reportWith, rowsAt, SETTINGS } from "../../bench/observations.js";

/** A bench whose drafts pay more on prose than on chat, and not at all with K = 1. */
export async function reportOf(suites: readonly string[] = ["chat", "prose"]): Promise<Report> {
  const plan = planOf(
    suites.map((suite) => groupOf(suite)),
    [1, 3, 6],
  );
  const rows = await rowsAt(plan, ({ draftTokens, group, repetition }) => {
    const gain = draftTokens === 1 ? 1 : 1 + Number(draftTokens) * (group.suite === "prose" ? 0.3 : 0.2);
    return gain * (1 + 0.04 * ((repetition % 3) - 1));
  });
  return reportWith(rows, { settings: { ...SETTINGS, suites: [...suites] } });
}

/** What a model or a file may say to get out of its place. */
export const HOSTILE = `</script><script>document.title="owned"</script><img src=x onerror=alert(1)>" onfocus='alert(2)' &lt;\u202e`;
