import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const RESULTS = new URL("../results/", import.meta.url);

/**
 * Writes a run's raw rows into `bench/results/`, a JSON object a line, the first of them `about`. A second run of a day and commit gets
 * a number behind its name.
 *
 * @param about what `machine()` says, and the run's settings
 * @returns the file's path, without `.jsonl`
 */
export function saveRows(name, about, rows) {
  const first = fileURLToPath(new URL(`${name}-${about.date.slice(0, 10)}-${about.commit}`, RESULTS));
  let path = first;
  for (let run = 2; existsSync(`${path}.jsonl`); run++) path = `${first}-${run}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.jsonl`, [about, ...rows].map((row) => `${JSON.stringify(row)}\n`).join(""));
  return path;
}
