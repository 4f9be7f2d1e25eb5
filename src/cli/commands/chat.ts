import { Option } from "commander";
import { CliCommand } from "../command.js";
import type { DecodingFlags, PairFlags } from "../flags.js";
import { numberOption } from "../options.js";
import { decodingOptions, pairOptions, withOptions } from "../pair-options.js";
import type { ColourMode } from "../ui/colour-mode.js";

/** The most tokens of an answer: more than `generate`'s, for thoughts count too. */
const MAX_TOKENS = 2048;

/** The options of `chat`, as they were parsed. */
export interface ChatFlags extends PairFlags, DecodingFlags {
  readonly system?: string;
  readonly think?: true;
  readonly hideThoughts?: true;
  readonly context?: number;
  readonly load?: string;
  /** False with `--no-history`. */
  readonly history: boolean;
  readonly json?: true;
  readonly stats?: true;
  readonly showDrafts?: true;
  readonly quiet?: true;
  readonly color: ColourMode;
}

/** `mlx-gemma chat`: its options. */
export function chatCommand(): CliCommand {
  const command = new CliCommand("chat").description(
    "A conversation that keeps its K/V cache: of each turn only what is new is read. /help in it lists its commands.",
  );
  return withOptions(command, [...pairOptions(), ...decodingOptions(MAX_TOKENS)])
    .optionsGroup("Conversation:")
    .option("--system <text>", "a system turn, which stays when old turns have to go")
    .option("--think", "ask the model to think before it answers")
    .option("--hide-thoughts", "do not show what it thinks")
    .addOption(
      numberOption("--context <N>", "the most tokens of prompt and answer (default: the model's)", {
        low: 1,
        whole: true,
      }),
    )
    .option("--load <file>", "go on with a conversation that /save wrote")
    .option("--no-history", "do not keep what is typed for the next session")
    .optionsGroup("Output:")
    .addOption(new Option("--stats", "the account of each answer in full, on stderr").conflicts("quiet"))
    .addOption(new Option("--show-drafts", "colour accepted draft tokens").conflicts("json"))
    .withOutput({
      json: "one JSON object for each answer",
      quiet: "the answers and warnings only: no spinner, no notes, no thoughts, no statistics",
    })
    .closeWith({
      notes: "Without a terminal each line of stdin is a turn.",
      examples: [
        "mlx-gemma chat --draft assistant --system 'You are a storyteller.'",
        "mlx-gemma chat --load fox.json",
        "mlx-gemma chat --json < turns.txt",
      ],
    })
    .action(async (flags: ChatFlags, self: CliCommand) => {
      const { runChat } = await import("./run-chat.js");
      await runChat(flags, (name) => self.getOptionValueSource(name) === "cli");
    });
}
