import { type Strictness, type Warning, warningText } from "../warnings.js";
import type { Progress } from "./ui/progress.js";

/** Shows warnings on stderr, a line each, but for those that the user allows; `--quiet` too shows them. */
export function tellWarnings(
  warnings: readonly Warning[],
  { allow = [] }: Strictness,
  progress: Pick<Progress, "warn">,
): void {
  for (const warning of warnings) if (!allow.includes(warning.code)) progress.warn(warningText(warning));
}
