import { resolve } from "node:path";
import type { Option } from "commander";
import { MlxGemmaError } from "../../errors.js";
import type { CliCommand } from "../command.js";
import { ListOption, RepeatableOption } from "../options.js";
import { isMoot, settingName, takesPath, takesValue, variableNames } from "./names.js";

/** A value of mlx-gemma.json. */
export type SettingValue = boolean | number | string | readonly (number | string)[];

/** Values by the names of their options. */
export type Section = Readonly<Record<string, SettingValue | undefined>>;

/** What mlx-gemma.json says, checked. */
export interface ConfigFile {
  readonly path: string;
  /** For every command that has the option. */
  readonly shared: Section;
  /** For one command, by its path (`models rm`). */
  readonly commands: Readonly<Record<string, Section>>;
}

/** Where options are looked for that are not on the command line. */
export interface Settings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Undefined: there is none. @throws MlxGemmaError `usage` where it can't be taken */
  readonly file: () => ConfigFile | undefined;
}

/** A value found for an option. */
interface Found {
  readonly value: SettingValue;
  /** For people: the variable, or the file and the key. */
  readonly where: string;
}

const origins = new WeakMap<CliCommand, Map<string, string>>();

/** The variable, or the file with its key, that an option's value came from; undefined: a flag or a default. */
export function originOf(command: CliCommand, option: Option): string | undefined {
  return origins.get(command)?.get(option.attributeName());
}

/**
 * Sets the options of a command that its command line does not give, from the environment, else from the file. What a
 * stronger source rules out, and what would do nothing, is left alone.
 *
 * @throws MlxGemmaError `usage` for a value that can't be taken
 */
export function applySettings(command: CliCommand, { environment, file }: Settings): void {
  const config = file();
  const found = new Map<string, string>();
  origins.set(command, found);
  const sources = {
    env: (option: Option) => fromEnvironment(command, option, environment),
    config: (option: Option) => config && fromFile(command, option, config),
  };
  for (const [source, look] of Object.entries(sources)) {
    const given = command.options
      .map((option) => option.attributeName())
      .filter((name) => isSet(command, name));
    for (const option of command.options) {
      const name = option.attributeName();
      if (given.includes(name) || conflictsOf(command, option).some((other) => given.includes(other)))
        continue;
      const setting = look(option);
      if (!setting) continue;
      command.setOptionValueWithSource(name, parsed(option, setting), source);
      found.set(name, setting.where);
    }
  }
  for (const option of command.options) {
    const name = option.attributeName();
    if (!found.has(name) || !isMoot(option, (other) => command.getOptionValue(other))) continue;
    command.setOptionValueWithSource(name, option.defaultValue, "default");
    found.delete(name);
  }
}

function isSet(command: CliCommand, name: string): boolean {
  return !["default", undefined].includes(command.getOptionValueSource(name));
}

function fromEnvironment(
  command: CliCommand,
  option: Option,
  environment: Settings["environment"],
): Found | undefined {
  for (const where of variableNames(command.path(), option)) {
    const text = environment[where];
    // Set to nothing is how a shell takes a variable back.
    if (text) return { value: takesValue(option) ? text : switchFrom(text, where), where };
  }
  return undefined;
}

const SWITCHES = new Map([
  ...["1", "true", "yes", "on"].map((word) => [word, true] as const),
  ...["0", "false", "no", "off"].map((word) => [word, false] as const),
]);

function switchFrom(text: string, where: string): boolean {
  const value = SWITCHES.get(text.toLowerCase());
  if (value !== undefined) return value;
  throw new MlxGemmaError("usage", `${where}: expected 1 or 0, found ${JSON.stringify(text.slice(0, 60))}`);
}

function fromFile(command: CliCommand, option: Option, config: ConfigFile): Found | undefined {
  const name = settingName(option);
  const own = config.commands[command.path()]?.[name];
  const value = own ?? config.shared[name];
  if (value === undefined) return undefined;
  const where = `${config.path}: ${own === undefined ? name : `${command.path()}: ${name}`}`;
  if (!takesPath(option)) return { value, where };
  // A path that begins with a dot is beside the file, wherever the command runs.
  const placed = <T>(part: T) =>
    typeof part === "string" && /^\.\.?(\/|$)/.test(part) ? resolve(config.path, "..", part) : part;
  return { value: Array.isArray(value) ? value.map(placed) : placed(value), where };
}

/** The value as the option's own parser makes it of text. */
function parsed(option: Option, { value, where }: Found): unknown {
  const wrong = (expected: string) =>
    new MlxGemmaError("usage", `${where}: expected ${expected}, found ${JSON.stringify(value).slice(0, 60)}`);
  if (!takesValue(option)) {
    if (typeof value !== "boolean") throw wrong("true or false");
    // A switch that is off is one that was not given.
    return option.negate ? value : value || undefined;
  }
  if (typeof value === "boolean") {
    if (option.optional) return value || undefined;
    throw wrong("a text or a number");
  }
  const texts = typeof value === "object" ? value.map(String) : [String(value)];
  const isList = option instanceof ListOption;
  const isRepeatable = option instanceof RepeatableOption;
  if (typeof value === "object" && !isList && !isRepeatable) throw wrong("one value");
  const { parseArg } = option;
  const parse = (text: string, before: unknown) => (parseArg ? parseArg(text, before) : text);
  try {
    return isRepeatable
      ? texts.reduce<unknown>((before, text) => parse(text, before), undefined)
      : parse(texts.join(","), undefined);
  } catch (error) {
    if (!(error instanceof MlxGemmaError)) throw error;
    // The parser names the flag, and the mistake stands elsewhere.
    throw new MlxGemmaError(error.code, `${where}: ${error.message.replace(/^--[\w-]+: /, "")}`);
  }
}

/** Attribute names of the options that an option can't stand beside, whichever of the two says so. */
function conflictsOf(command: CliCommand, option: Option): string[] {
  const name = option.attributeName();
  const others = command.options.filter((other) => ruledOutBy(other).includes(name));
  return [...ruledOutBy(option), ...others.map((other) => other.attributeName())];
}

/** Commander keeps them, and does not say so in its types. */
function ruledOutBy(option: Option): string[] {
  const names: unknown = "conflictsWith" in option ? option.conflictsWith : [];
  return Array.isArray(names) ? names.map(String) : [];
}
