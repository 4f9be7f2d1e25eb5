import type { Option } from "commander";
import { BENCH_DEFAULTS } from "../../bench/options.js";
import { DEFAULTS } from "../../options.js";
import type { CliCommand } from "../command.js";
import type { JsonOf } from "../json-schemas.js";
import { ListOption } from "../options.js";
import { jsonLine } from "../stdout.js";
import { originOf } from "./apply.js";
import { isMoot, settingName } from "./names.js";

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
        value: command.getOptionValue(name) ?? unsaid(command, option) ?? null,
        source: SOURCES.get(command.getOptionValueSource(name)) ?? "default",
        from: originOf(command, option) ?? null,
      };
    });
}

/** What holds though no option says it: K is `auto` where somebody drafts. */
function unsaid(command: CliCommand, option: Option): unknown {
  if (settingName(option) !== "draft-tokens" || isMoot(option, (other) => command.getOptionValue(other)))
    return undefined;
  return option instanceof ListOption ? BENCH_DEFAULTS.draftTokens : DEFAULTS.draftTokens;
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
