import { checkSaved, type FileUse, readUserJson } from "../../bench/read-file.js";
import { reportSchema } from "../../bench/report.js";
import { isObject } from "../../checkpoint/json.js";
import { FORMAT as TRACE_FORMAT, traceSchema } from "../../trace/schema.js";
import { benchPage } from "../html/bench-page.js";
import { tracePage } from "../html/trace-page.js";
import { checkOutputs, writeOutput } from "../output-file.js";
import { write, writeJson } from "../stdout.js";
import { shownOn } from "../ui/terminal-text.js";
import type { ReportFlags } from "./report.js";

const FILE: FileUse = {
  option: "report",
  expected: "what bench --save or generate --trace writes",
  maxBytes: 256 * 2 ** 20,
};

/** Runs `mlx-gemma report`. An error is thrown. */
export async function runReport(file: string, { html, json }: ReportFlags): Promise<void> {
  checkOutputs({ "--html": html });
  const { kind, page } = pageOf(file);
  if (html !== undefined) writeOutput("--html", html, page);
  if (json) await writeJson<"report">({ kind, html: html ?? null, page: html === undefined ? page : null });
  else if (html === undefined) await write(shownOn(process.stdout, page));
}

function pageOf(file: string): { kind: "bench" | "generation"; page: string } {
  const value = readUserJson(file, FILE);
  return isObject(value) && value.format === TRACE_FORMAT
    ? { kind: "generation", page: tracePage(checkSaved(traceSchema, value, file, FILE)) }
    : { kind: "bench", page: benchPage(checkSaved(reportSchema, value, file, FILE)) };
}
