import { checkExactness } from "../../speculative/exactness.js";
import type { Warning } from "../../warnings.js";
import type { DoctorFlags } from "../commands/doctor.js";
import { openPair } from "../open-pair.js";
import type { Progress } from "../ui/progress.js";
import type { Look } from "./report.js";

/** `--exact`: the full property on the pair that the options name. */
export function exactLook(
  flags: DoctorFlags,
  progress: Progress,
  { signal, warn }: { readonly signal: AbortSignal; readonly warn: (warnings: readonly Warning[]) => void },
): Look {
  return {
    id: "exact",
    what: "blocks against rows",
    cure: "mend what the line says, then run again",
    async run() {
      using pair = await openPair(flags, progress, signal);
      warn(pair.warnings);
      const { rowsCompared, difference } = await checkExactness(pair.target, {
        signal,
        onProgress: (done, total) => progress.say(`blocks against rows, part ${done + 1} of ${total}`),
      });
      const facts = { rowsCompared, position: difference?.position ?? null, rows: difference?.rows ?? null };
      if (!difference) {
        const found = `${rowsCompared} rows in blocks of 2 to 16 have the bits of single rows`;
        return { status: "ok", found, facts };
      }
      return {
        status: "fail",
        found: `the row at position ${difference.position} has other bits in a block of ${difference.rows} than alone`,
        cure: "drafted text may differ from plain text here: --draft none, or another device; on a CPU report it",
        facts,
      };
    },
  };
}
