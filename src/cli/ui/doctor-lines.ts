import type { ChalkInstance } from "chalk";
import type { Check, Report } from "../doctor/report.js";
import { forTerminal } from "./terminal-text.js";
import { wrapWords } from "./wrap.js";

const WIDTH = 12;

/** A check for people: status, what, what was found, and below it the cure. Broken into lines of `columns`. */
export function checkLines(
  { id, status, found, cure }: Check,
  chalk: ChalkInstance,
  columns: number,
): string {
  const colour = { ok: chalk.green, warn: chalk.yellow, fail: chalk.red }[status];
  const indent = columns < 60 ? 6 : 6 + WIDTH;
  const head = `${colour(status.padEnd(6))}${indent === 6 ? id : id.padEnd(WIDTH)}`;
  const body = wrapWords(forTerminal(found), columns - indent);
  const advice = cure === null ? [] : wrapWords(`→ ${forTerminal(cure)}`, columns - indent);
  const below = (lines: readonly string[]) => lines.map((line) => " ".repeat(indent) + line);
  if (indent === 6) return [head, ...below([...body, ...advice])].join("\n");
  return [`${head}${body[0] ?? ""}`, ...below([...body.slice(1), ...advice])].join("\n");
}

/** The last line. */
export function closingLine({ status, checks }: Report, chalk: ChalkInstance): string {
  const count = (wanted: Check["status"]) => checks.filter((check) => check.status === wanted).length;
  if (status === "ok") return chalk.dim("all is well");
  const told = (["fail", "warn"] as const).flatMap((each) =>
    count(each) > 0 ? [`${count(each)} ${each}`] : [],
  );
  return told.join(", ");
}
