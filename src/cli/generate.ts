import { Command, Option } from "commander";
import { DEFAULTS } from "../options.js";
import type { Flags } from "./flags.js";
import { choiceOption, idsOption } from "./options.js";
import { decodingOptions, pairOptions, withOptions } from "./pair-options.js";
import { COLOUR_MODES } from "./ui/colour-mode.js";

/** `mlx-gemma generate`: its options. What it does is loaded when it runs, so that `--help` is quick. */
export function generateCommand(): Command {
  const command = new Command("generate")
    .description("Writes the answer to a prompt on stdout, as it is decided.")
    .argument("[prompt]", "the prompt; - or a pipe reads it from stdin");
  return withOptions(command, [...pairOptions(), ...decodingOptions(DEFAULTS.maxTokens)])
    .addOption(
      new Option("--system <text>", "a system turn before the prompt").conflicts(["raw", "promptIds"]),
    )
    .addOption(new Option("--raw", "no chat template: continue the prompt's text").conflicts("promptIds"))
    .addOption(idsOption("--prompt-ids <ids>", "token ids as they are, such as 2,5,7; needs no tokenizer"))
    .option("--ignore-eos", "go on past the end of the answer")
    .option("--json", "one JSON object instead of text")
    .option("--trace <file>", "write as JSON what every round did: drafts, probabilities, times")
    .option("--html <file>", "write a page that shows it")
    .addOption(new Option("--stats", "the account in full, on stderr").conflicts("quiet"))
    .addOption(new Option("--show-drafts", "colour accepted draft tokens").conflicts("json"))
    .option("-q, --quiet", "the answer only: no spinner, no notes, no statistics")
    .addOption(choiceOption("--color <when>", "colours", COLOUR_MODES).default("auto"))
    .addHelpText("after", '\nExample:\n  mlx-gemma generate --draft assistant "Tell me a story about a fox."')
    .action(async (prompt: string | undefined, flags: Flags, command: Command) => {
      const { runGenerate } = await import("./run-generate.js");
      await runGenerate(prompt, flags, {
        usage: `mlx-gemma generate ${command.usage()}`,
        given: (name) => command.getOptionValueSource(name) === "cli",
      });
    });
}
