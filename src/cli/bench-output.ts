import type { ChalkInstance } from "chalk";
import type { OutputFormat } from "../bench/options.js";
import type { Report } from "../bench/report.js";
import { jsonLine } from "./stdout.js";
import {
  aboutLines,
  alignment,
  type BenchTable,
  benchTables,
  comparisonTable,
  conditionsLine,
} from "./ui/bench-tables.js";
import { type Column, columnsTable } from "./ui/columns.js";
import { forTerminal } from "./ui/terminal-text.js";
import { wrapWords } from "./ui/wrap.js";

/** A report in one of the formats, ready for stdout. */
export function formatReport(
  report: Report,
  format: OutputFormat,
  chalk: ChalkInstance,
  columns: number,
): string {
  switch (format) {
    case "json":
      return jsonLine(report);
    case "jsonl":
      return jsonLines(report);
    case "csv":
      return csv(report);
    case "md":
      return blocks(report, Number.POSITIVE_INFINITY, ({ title, ...rest }) => [
        `## ${title}`,
        "",
        markdown(rest),
      ]);
    case "table":
      return blocks(report, columns, ({ title, head, rows }) => [
        ...wrapWords(forTerminal(title), columns).map((line) => chalk.bold(line)),
        columnsTable(head.map(column), rows, { chalk, columns }),
      ]);
  }
}

/** What was measured, the tables, and the verdict as the last line. */
function blocks(report: Report, columns: number, show: (table: BenchTable) => string[]): string {
  const { comparison, rows, verdict } = report;
  const wrapped = (text: string) => wrapWords(forTerminal(text), columns);
  const all = [
    aboutLines(report).flatMap(wrapped),
    ...(rows.length > 0 ? [...benchTables(report).map(show), wrapped(conditionsLine(report))] : []),
    ...(comparison ? [show(comparisonTable(comparison)), comparison.notes.flatMap(wrapped)] : []),
    wrapped(verdict.text),
  ];
  return `${all
    .filter((block) => block.length > 0)
    .map((block) => block.join("\n"))
    .join("\n\n")}\n`;
}

function column(head: string): Column {
  return alignment(head) === "right" ? { head, right: true } : { head };
}

function markdown({ head, rows }: Omit<BenchTable, "title">): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = head.map((name) => (alignment(name) === "right" ? "--:" : "---"));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

function jsonLines({ rows, verdict, comparison, difference, ...about }: Report): string {
  const all = [
    { type: "about", ...about },
    ...rows.map((row) => ({ type: "row", ...row })),
    ...(comparison ? [{ type: "comparison", ...comparison }] : []),
    ...(difference ? [{ type: "difference", ...difference }] : []),
    { type: "verdict", ...verdict },
  ];
  return all.map(jsonLine).join("");
}

/** RFC 4180: a line a row, nested names joined by points, lists by spaces; the raw samples are left out. */
function csv({ rows }: Report): string {
  const flat = rows.map(({ samples: _, ...row }) => new Map(flatten(row, "")));
  const names = [...(flat[0]?.keys() ?? [])];
  const cell = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [names, ...flat.map((row) => names.map((name) => row.get(name) ?? ""))]
    .map((cells) => `${cells.map(cell).join(",")}\n`)
    .join("");
}

function flatten(value: object, prefix: string): [string, string][] {
  return Object.entries(value).flatMap(([key, part]: [string, unknown]): [string, string][] => {
    const name = prefix + key;
    if (Array.isArray(part)) return [[name, part.join(" ")]];
    if (typeof part === "object" && part !== null) return flatten(part, `${name}.`);
    return [[name, part === null ? "" : String(part)]];
  });
}
