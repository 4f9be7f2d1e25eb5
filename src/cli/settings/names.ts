import type { Option } from "commander";

/** The name of an option outside the command line, in a file: `max-tokens`; `check` for `--no-check`. */
export function settingName(option: Option): string {
  return (option.long ?? option.flags).replace(/^--(no-)?/, "");
}

/** The environment's names for an option, the stronger first: that of its command, and that of all commands. */
export function variableNames(commandPath: string, option: Option): readonly [string, string] {
  const upper = (text: string) => text.toUpperCase().replaceAll(/[ -]/g, "_");
  const name = upper(settingName(option));
  return [`MLX_GEMMA_${upper(commandPath)}_${name}`, `MLX_GEMMA_${name}`];
}

/** What is an act, not a preference: a file that lies in some folder must not overwrite or confirm anything. */
const ACTS: ReadonlySet<string> = new Set(["force", "yes", "save", "html", "trace", "print-config"]);

/** Whether mlx-gemma.json may hold it. */
export function isForFile(option: Option): boolean {
  return !ACTS.has(settingName(option));
}

/** What does nothing beside one value of another option: as a preference it is left alone there, as a flag it is a mistake. */
const MOOT: Readonly<Record<string, readonly [option: string, value: string]>> = {
  "draft-tokens": ["draft", "none"],
};

/** Whether an option does nothing, given what the others hold, by their names. */
export function isMoot(option: Option, held: (name: string) => unknown): boolean {
  const [other, value] = MOOT[settingName(option)] ?? [];
  return other !== undefined && held(other) === value;
}

/** Words for a value that is, or may be, a path. */
const PATHS = /[<[](which|who|folder|file|checkpoint|assistant|other)[>\]]/;

/** Whether an option's value is, or may be, a path. */
export function takesPath(option: Option): boolean {
  return PATHS.test(option.flags);
}

/** Whether an option is more than a switch. */
export function takesValue(option: Option): boolean {
  return option.required || option.optional;
}
