// The rows that were saved of each promise: what the tables of docs/reliability.md are made of. A night's lie in
// bench/results/reliability/, written by the programs (--save) or by `npm run reliability`; those of the short form in short/ there.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The folder of a form's rows below bench/results/. */
export function folderOf(form) {
  return form === "nightly" ? "reliability" : `reliability/${form}`;
}

/**
 * The newest run of a promise.
 *
 * @param results bench/results/
 * @param saved what its files begin with: `<saved>-<anything>.jsonl`, first what `machine()` says, then a summary, then the rows
 * @returns `{about, tried, failed, seconds}`; undefined if it was not run yet
 */
export function newest(results, form, saved) {
  const folder = join(results, folderOf(form));
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names
    .filter((name) => name.startsWith(`${saved}-`) && name.endsWith(".jsonl"))
    .map((name) => runOf(readFileSync(join(folder, name), "utf8"), join(folder, name)))
    .sort((a, b) => a.about.date.localeCompare(b.about.date))
    .at(-1);
}

function runOf(text, path) {
  try {
    const [about, summary, ...rows] = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    // The programs' first rows had names of their own for what was tried.
    const tried = summary.tried ?? summary.cases ?? summary.tests ?? summary.tokens;
    const failed = summary.failed ?? summary.wrong ?? summary.differing;
    const seconds = summary.seconds ?? rows.reduce((sum, row) => sum + row.seconds, 0);
    if (![tried, failed, seconds].every(Number.isFinite) || typeof about.date !== "string")
      throw new Error("expected a date, and a summary with tried, failed and seconds");
    return { about, tried, failed, seconds };
  } catch (error) {
    throw new Error(`${path}: ${error.message}`);
  }
}
