import { nearestName } from "../../nearest.js";
import type { Warning } from "../../warnings.js";
import type { CliCommand } from "../command.js";
import { variableNames } from "./names.js";

const PREFIX = "MLX_GEMMA_";

/** Read elsewhere than by options: by the set-up, the addon, and where settings are looked for. */
const ELSEWHERE = "BACKEND CONFIG INDEX_URL ISA JOBS PYTHON STEP_ROWS".split(" ");

/**
 * Warnings of variables that no option reads and that are nearly called as one that is read. Others with our prefix may be
 * somebody's own.
 */
export function strangers(
  environment: Readonly<Record<string, string | undefined>>,
  commands: readonly CliCommand[],
): Warning[] {
  const short = (name: string) => name.slice(PREFIX.length);
  const given = Object.keys(environment).filter((name) => name.startsWith(PREFIX) && environment[name]);
  // Nearly always.
  if (given.length === 0) return [];
  const names = commands.flatMap((command) =>
    command.options.flatMap((option) => variableNames(command.path(), option)),
  );
  const known = [...new Set([...names.map(short), ...ELSEWHERE])];
  return given.flatMap((name): Warning[] => {
    const meant = known.includes(short(name)) ? undefined : nearestName(short(name), known);
    if (meant === undefined) return [];
    return [
      {
        code: "option-ignored",
        message: `the variable ${name} does nothing; did you mean ${PREFIX}${meant}?`,
      },
    ];
  });
}
