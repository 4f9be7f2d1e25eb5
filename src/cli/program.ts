import { Command } from "commander";
import { nearest } from "../nearest.js";
import { CliCommand, helpColumns, shortDescription } from "./command.js";
import { benchCommand } from "./commands/bench.js";
import { chatCommand } from "./commands/chat.js";
import { completionCommand } from "./commands/completion.js";
import { doctorCommand } from "./commands/doctor.js";
import { generateCommand } from "./commands/generate.js";
import { inspectWeightsCommand } from "./commands/inspect-weights.js";
import { modelsCommand } from "./commands/models.js";
import { pullCommand } from "./commands/pull.js";
import { quantizeCommand } from "./commands/quantize.js";
import { reportCommand } from "./commands/report.js";
import { exitHelp } from "./exit-codes.js";
import type { Settings } from "./settings/apply.js";
import { versionText } from "./version.js";

/**
 * The whole command line.
 *
 * @param settings where options are looked for that are not on the command line
 */
export function makeProgram(settings?: Settings): CliCommand {
  const main: CliCommand = new CliCommand("mlx-gemma")
    .description("Gemma 4 with its MTP assistant on MLX: faster text, the same tokens.")
    .version(versionText())
    .exitOverride()
    // What stands after `models rm` belongs to `rm`.
    .enablePositionalOptions()
    .configureOutput({ outputError: (text, write) => write(asLine(text, main)) })
    .configureHelp({ subcommandTerm: (command) => command.name(), subcommandDescription: shortDescription })
    .addHelpText("after", () =>
      [
        "",
        "Example:",
        '  mlx-gemma generate --draft assistant "Tell me a story about a fox."',
        "",
        "Options of a command: mlx-gemma <command> --help; all of it: docs/cli.md",
        exitHelp(helpColumns()),
      ].join("\n"),
    );
  for (const command of [
    generateCommand(),
    chatCommand(),
    benchCommand(),
    reportCommand(),
    pullCommand(),
    modelsCommand(),
    quantizeCommand(),
    inspectWeightsCommand(),
    doctorCommand(),
    completionCommand(),
  ]) {
    main.addCommand(command);
    for (const each of allCommands(command)) {
      each.copyInheritedSettings(main);
      each.settings = settings;
    }
  }
  main.addCommand(helpCommand(main));
  return main;
}

/** `mlx-gemma help`: commander's own prints the whole help where there is no such command, and does not say so. */
function helpCommand(main: CliCommand): Command {
  return new Command("help")
    .description("display help for command")
    .argument("[command]")
    .allowExcessArguments()
    .action((_, __, { args }: Command) => {
      const [command, [stranger]] = commandAt(main, args);
      if (stranger === undefined || stranger === "help") return command.help();
      const names = command.commands.map((each) => each.name());
      const advice = nearest(stranger, names);
      main.error(`unknown command '${stranger}'${advice === undefined ? "" : ` (${advice})`}`);
    });
}

/** A command and those below it. */
export function allCommands(command: CliCommand): CliCommand[] {
  const below = command.commands.filter((each) => each instanceof CliCommand);
  return [command, ...below.flatMap(allCommands)];
}

/** The commands of a program, without itself. */
export function commandsOf(program: CliCommand): CliCommand[] {
  return allCommands(program).slice(1);
}

/** Commander's message, its suggestion included, as one line. */
function asLine(text: string, main: CliCommand): string {
  const line = text
    .replace(/^error: /, "")
    .trim()
    .replace(/\s*\n\s*/g, " ");
  const [command, rest] = commandAt(main, process.argv.slice(2));
  const [below] = command.commands;
  if (command !== main && below && line.startsWith("too many arguments")) {
    const path = command.path();
    return `mlx-gemma: unknown command '${path} ${rest[0]}'; there are mlx-gemma ${path} and mlx-gemma ${path} ${below.name()}\n`;
  }
  const advice = /^unknown option '-[^']*\s/.test(line)
    ? "a prompt that begins with a dash goes after --"
    : line.startsWith("too many arguments for 'generate'")
      ? "put the prompt in quotes"
      : `see ${["mlx-gemma", ...(command === main ? [] : [command.path()]), "--help"].join(" ")}`;
  return `mlx-gemma: ${line.replace(/\.$/, "")}; ${advice}\n`;
}

/** The command that the first words name, and the words after its name. */
function commandAt(command: CliCommand, words: readonly string[]): readonly [CliCommand, readonly string[]] {
  const next = command.commands.find((each) => each.name() === words[0]);
  return next instanceof CliCommand ? commandAt(next, words.slice(1)) : [command, words];
}
