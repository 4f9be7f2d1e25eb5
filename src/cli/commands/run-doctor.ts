import { MlxGemmaError } from "../../errors.js";
import type { Warning } from "../../warnings.js";
import { exactLook } from "../doctor/exact.js";
import { hubLooks } from "../doctor/hub.js";
import { MACHINE } from "../doctor/machine.js";
import { type Check, type Look, reportOf, take, withoutSecret } from "../doctor/report.js";
import { selfTest } from "../doctor/self-test.js";
import { SOFTWARE } from "../doctor/software.js";
import { EXIT_OTHER } from "../exit-codes.js";
import { onInterruption } from "../interruption.js";
import { checkPairFlags } from "../open-pair.js";
import { write, writeJson } from "../stdout.js";
import { colours } from "../ui/colour.js";
import { checkLines, closingLine } from "../ui/doctor-lines.js";
import { openProgress } from "../ui/progress.js";
import { tellWarnings } from "../warnings.js";
import type { DoctorFlags } from "./doctor.js";

/** Runs `mlx-gemma doctor`. Sets the exit code when a check fails or it was interrupted. */
export async function runDoctor(flags: DoctorFlags): Promise<void> {
  checkFlags(flags);
  const { stdout } = process;
  const chalk = colours(flags.color, stdout);
  const columns = stdout.isTTY ? stdout.columns || 80 : Number.POSITIVE_INFINITY;
  const progress = await openProgress({ quiet: flags.quiet === true, color: flags.color });
  const interruption = onInterruption(() => progress.stop());
  const { signal } = interruption;
  const warnings: Warning[] = [];
  const warn = (found: readonly Warning[]) => {
    const told = found.map(({ code, message }) => ({ code, message: withoutSecret(message) }));
    warnings.push(...told);
    progress.stop();
    tellWarnings(told, flags, progress);
  };
  const looks: readonly Look[] = [
    ...MACHINE,
    ...SOFTWARE,
    ...hubLooks(flags.offline === true, signal),
    selfTest(flags, { signal, warn }),
    ...(flags.exact ? [exactLook(flags, progress, { signal, warn })] : []),
  ];
  const checks: Check[] = [];
  try {
    for (const look of looks) {
      progress.say(`looking at ${look.what}`);
      const check = await take(look);
      progress.stop();
      checks.push(check);
      if (!flags.json) await write(`${checkLines(check, chalk, columns)}\n`);
    }
    const report = reportOf(checks, warnings);
    if (flags.json) await writeJson<"doctor">(report);
    else await write(`${closingLine(report, chalk)}\n`);
    if (report.status === "fail") process.exitCode = EXIT_OTHER;
  } catch (error) {
    if (!(error instanceof MlxGemmaError && error.code === "aborted")) throw error;
    process.exitCode = interruption.exitCode;
  } finally {
    progress.stop();
  }
}

/** @throws MlxGemmaError `usage` */
function checkFlags(flags: DoctorFlags): void {
  checkPairFlags(flags);
  const named = flags.model !== undefined || flags.draft !== "none" || flags.dtype !== undefined;
  if (named && !flags.exact) {
    throw new MlxGemmaError(
      "usage",
      "--model, --draft and --dtype name the pair of --exact, and --exact is not given; add it, or leave them out",
    );
  }
}
