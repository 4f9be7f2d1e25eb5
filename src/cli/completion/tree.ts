import type { Argument, Option } from "commander";
import { type CliCommand, shortDescription } from "../command.js";
import { commandsOf } from "../program.js";
import { takesPath, takesValue } from "../settings/names.js";

/** What may stand in one place of a command line. */
export type Expected =
  | { readonly type: "words"; readonly words: readonly string[] }
  | { readonly type: "path" }
  /** Something that no list can hold. */
  | { readonly type: "text" };

/** An option, as a shell has to know it. */
export interface ShellOption {
  /** `-m`, `--model`. */
  readonly names: readonly string[];
  readonly description: string;
  /** Undefined: a switch. */
  readonly value: Expected | undefined;
}

/** A command, as a shell has to know it. */
export interface ShellCommand {
  /** `generate`, `models rm`. */
  readonly path: string;
  readonly description: string;
  readonly subcommands: readonly string[];
  readonly options: readonly ShellOption[];
  /** Of its first argument. */
  readonly argument: Expected;
}

/** The commands of a program, for the scripts that complete them. */
export function shellCommands(program: CliCommand): ShellCommand[] {
  return commandsOf(program).map((command) => ({
    path: command.path(),
    description: shortDescription(command),
    subcommands: command.commands.map((each) => each.name()),
    options: [
      ...command.options.map(shellOption),
      { names: ["-h", "--help"], description: "show the help", value: undefined },
    ],
    argument: expectedOf(command.registeredArguments[0]),
  }));
}

function shellOption(option: Option): ShellOption {
  const { short, long, description, argChoices } = option;
  const value = (): Expected =>
    argChoices ? { type: "words", words: argChoices } : { type: takesPath(option) ? "path" : "text" };
  return {
    names: [short, long].filter((name) => name !== undefined),
    description,
    value: takesValue(option) ? value() : undefined,
  };
}

function expectedOf(argument: Argument | undefined): Expected {
  if (argument?.argChoices) return { type: "words", words: argument.argChoices };
  return { type: ["checkpoint", "file"].includes(argument?.name() ?? "") ? "path" : "text" };
}
