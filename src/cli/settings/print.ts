import type { CliCommand } from "../command.js";
import type { JsonOf } from "../json-schemas.js";
import { jsonLine } from "../stdout.js";
import { originOf } from "./apply.js";
import { settingName } from "./names.js";

const SOURCES = new Map<string | undefined, Held["source"]>([
  ["cli", "flag"],
  ["env", "environment"],
  ["config", "file"],
  ["implied", "implied"],
]);

/** One option of a command, as it holds now. */
type Held = JsonOf<"print-config">["options"][number];

function held(command: CliCommand): Held[] {
  return command.options
    .filter((option) => option.attributeName() !== "printConfig")
    .map((option) => {
      const name = option.attributeName();
      return {
        name: settingName(option),
        value: command.getOptionValue(name) ?? null,
        source: SOURCES.get(command.getOptionValueSource(name)) ?? "default",
        from: originOf(command, option) ?? null,
      };
    });
}

/** `--print-config`: a line for each option, its value as JSON and its source; with `--json` one object. */
export function printConfig(command: CliCommand, file: string | undefined): string {
  const options = held(command);
  if (command.getOptionValue("json") === true) {
    const config: JsonOf<"print-config"> = { command: command.path(), file: file ?? null, options };
    return jsonLine(config);
  }
  const rows = options.map(({ name, value, source, from }) => [
    name,
    value === null ? "-" : JSON.stringify(value),
    from === null ? source : `${source}, ${from}`,
  ]);
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const [first, second] = [width(0), width(1)];
  return rows
    .map(([name = "", value = "", source]) => `${name.padEnd(first)}  ${value.padEnd(second)}  ${source}\n`)
    .join("");
}

/** What `--verbose` tells of options that did not come from the command line, a line each. */
export function settingsLines(command: CliCommand): string[] {
  return held(command).flatMap(({ name, value, from }) =>
    from === null ? [] : [`${name} is ${JSON.stringify(value)} (${from})`],
  );
}
