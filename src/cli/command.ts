import { Command, Option } from "commander";
import { exitHelp } from "./exit-codes.js";
import { choiceOption } from "./options.js";
import { applySettings, type Settings } from "./settings/apply.js";
import { COLOUR_MODES } from "./ui/colour-mode.js";
import { wrapWords } from "./ui/wrap.js";

/** What the help of a command ends with. */
export interface Closing {
  /** Sentences below the options. */
  readonly notes?: string;
  /** Command lines. */
  readonly examples: readonly string[];
}

/** What the options that every command has do in one of them. */
export interface OutputWords {
  /** Absent: the command adds `--json` itself. */
  readonly json?: string;
  readonly quiet: string;
}

/** Thrown for `--print-config`: nothing is to be run. */
export class PrintConfig extends Error {
  constructor(readonly command: CliCommand) {
    super("--print-config");
  }
}

/** How wide a help is: as commander has it. */
export function helpColumns(): number {
  return process.stdout.columns || 80;
}

/** The first sentence of a command's description, for lists. */
export function shortDescription(command: Command): string {
  return command.description().split(/(?<=\.) /)[0] ?? "";
}

/** A command of this program: its options come from flags, else the environment, else a file, else defaults. */
export class CliCommand extends Command {
  /** Where options are looked for that are not on the command line; undefined: nowhere. */
  settings: Settings | undefined;
  closing: Closing = { examples: [] };

  /** Adds the options that all commands have. Called after the command's own. */
  withOutput({ json, quiet }: OutputWords): this {
    this.optionsGroup("Output:");
    if (json !== undefined) this.option("--json", json);
    return this.option("-q, --quiet", quiet)
      .addOption(
        new Option("--verbose", "say where options come from, and all that is known of an error").conflicts(
          "quiet",
        ),
      )
      .addOption(choiceOption("--color <when>", "colours", COLOUR_MODES).default("auto"))
      .option("--print-config", "show each option's value and where it comes from, run nothing");
  }

  /** Sets what the help ends with. */
  closeWith(closing: Closing): this {
    this.closing = closing;
    const { notes, examples } = closing;
    return this.addHelpText("after", () => {
      const columns = helpColumns();
      return [
        ...(notes ? ["", ...wrapWords(notes, columns)] : []),
        "",
        examples.length === 1 ? "Example:" : "Examples:",
        ...examples.map((line) => `  ${line}`),
        exitHelp(columns),
      ].join("\n");
    });
  }

  /** Its name after those of the commands above it; the program's is left out: `models rm`. */
  path(): string {
    const above = this.parent instanceof CliCommand && this.parent.parent ? `${this.parent.path()} ` : "";
    return above + this.name();
  }

  override parseOptions(argv: string[]): ReturnType<Command["parseOptions"]> {
    const parsed = super.parseOptions(argv);
    const asksForHelp = parsed.unknown.some((word) => word === "-h" || word === "--help");
    const isSubcommand = this.commands.some((each) => each.name() === parsed.operands[0]);
    if (!this.settings || asksForHelp || isSubcommand) return parsed;
    applySettings(this, this.settings);
    if (this.getOptionValue("printConfig") === true) throw new PrintConfig(this);
    return parsed;
  }
}
