import { readUserFile } from "../../bench/read-file.js";
import { describe, oneLine, quote } from "../../checkpoint/json.js";
import { MlxGemmaError } from "../../errors.js";
import { nearest } from "../../nearest.js";
import * as z from "../../zod.js";
import type { CliCommand } from "../command.js";
import type { ConfigFile, Section, SettingValue } from "./apply.js";
import { isForFile, settingName } from "./names.js";

const MAX_BYTES = 2 ** 20;
const VALUE_WORDS = "true or false, a number, a text, or a list of these";

const scalar = z.union([z.string(), z.number()]);
const value = z.union([z.boolean(), scalar, z.array(scalar).min(1)], { error: VALUE_WORDS });
const OBJECT = {
  error: ({ code }: { readonly code?: string }) => (code === "invalid_type" ? "an object" : undefined),
};

/**
 * Reads mlx-gemma.json: an object with options by name, for all commands, and with commands that have options of their
 * own. Whether a value suits its option is told when the option is set.
 *
 * @param commands all there are
 * @throws MlxGemmaError `usage` with the place of the first mistake
 */
export function readConfigFile(path: string, commands: readonly CliCommand[]): ConfigFile {
  const json = parse(path);
  const section = (names: readonly string[]) =>
    z.strictObject(Object.fromEntries(names.map((name) => [name, value.optional()])), OBJECT);
  const shape: Record<string, z.ZodType<SettingValue | Section | undefined>> = Object.fromEntries([
    ...commands.flatMap(namesOf).map((name) => [name, value.optional()]),
    ...commands.map((command) => [command.path(), section(namesOf(command)).optional()]),
  ]);
  const schema = z.strictObject(shape, OBJECT);
  const { data, error } = schema.safeParse(json);
  if (!data) throw mistake(path, json, error.issues[0], commands);
  const isSection = (part: SettingValue | Section): part is Section =>
    typeof part === "object" && !Array.isArray(part);
  const shared: Record<string, SettingValue> = {};
  const own: Record<string, Section> = {};
  for (const [name, part] of Object.entries(data)) {
    if (part === undefined) continue;
    if (isSection(part)) own[name] = part;
    else shared[name] = part;
  }
  return { path, shared, commands: own };
}

function namesOf(command: CliCommand): string[] {
  return command.options.filter(isForFile).map(settingName);
}

function parse(path: string): unknown {
  const text = readUserFile(path, {
    option: "settings",
    expected: "a JSON file with settings",
    maxBytes: MAX_BYTES,
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    const found = error instanceof Error ? oneLine(error.message) : "a mistake";
    throw new MlxGemmaError("usage", `${path}: expected JSON, found a mistake (${found})`);
  }
}

function mistake(
  path: string,
  json: unknown,
  issue: z.core.$ZodIssue | undefined,
  commands: readonly CliCommand[],
): MlxGemmaError {
  const keys = issue?.path.map(String) ?? [];
  if (issue?.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    const section = keys[0];
    const known = commands.filter((command) => section === undefined || command.path() === section);
    const names = known.flatMap(namesOf).concat(section === undefined ? commands.map((c) => c.path()) : []);
    const act = known.some((command) => command.options.some((option) => settingName(option) === key));
    const advice = act
      ? "it belongs on the command line"
      : (nearest(key, names) ?? "docs/cli.md lists the names");
    const expected = section === undefined ? "an option or a command" : `an option of ${section}`;
    return new MlxGemmaError("usage", `${path}: expected ${expected}, found ${quote(key)}; ${advice}`);
  }
  const found = keys.reduce<unknown>(
    (part, key) =>
      typeof part === "object" && part !== null ? new Map(Object.entries(part)).get(key) : part,
    json,
  );
  const where = [path, ...keys.map(quote)].join(": ");
  return new MlxGemmaError(
    "usage",
    `${where}: expected ${issue?.message ?? VALUE_WORDS}, found ${describe(found)}`,
  );
}
