import { Option } from "commander";
import { DEFAULTS } from "../../options.js";
import { CliCommand } from "../command.js";
import type { Flags } from "../flags.js";
import { idsOption } from "../options.js";
import { decodingOptions, pairOptions, withOptions } from "../pair-options.js";

/** `mlx-gemma generate`: its options. What it does is loaded when it runs, so that `--help` is quick. */
export function generateCommand(): CliCommand {
  const command = new CliCommand("generate")
    .description("Writes the answer to a prompt on stdout, as it is decided.")
    .argument("[prompt]", "the prompt; - or a pipe reads it from stdin");
  return withOptions(command, [...pairOptions(), ...decodingOptions(DEFAULTS.maxTokens)])
    .optionsGroup("Prompt:")
    .addOption(
      new Option("--system <text>", "a system turn before the prompt").conflicts(["raw", "promptIds"]),
    )
    .addOption(new Option("--raw", "no chat template: continue the prompt's text").conflicts("promptIds"))
    .addOption(idsOption("--prompt-ids <ids>", "token ids as they are, such as 2,5,7; needs no tokenizer"))
    .option("--ignore-eos", "go on past the end of the answer")
    .optionsGroup("Output:")
    .option("--trace <file>", "write as JSON what every round did: drafts, probabilities, times")
    .option("--html <file>", "write a page that shows it")
    .addOption(new Option("--stats", "the account in full, on stderr").conflicts("quiet"))
    .addOption(new Option("--show-drafts", "colour accepted draft tokens").conflicts("json"))
    .withOutput({
      json: "one JSON object instead of text",
      quiet: "the answer and warnings only: no spinner, no notes, no statistics",
    })
    .closeWith({
      examples: [
        'mlx-gemma generate --draft assistant "Tell me a story about a fox."',
        "mlx-gemma generate --draft assistant --show-drafts < question.txt",
        'mlx-gemma generate --temperature 0.8 --seed 7 --json "A haiku." | jq -r .text',
      ],
    })
    .action(async (prompt: string | undefined, flags: Flags, command: CliCommand) => {
      const { runGenerate } = await import("./run-generate.js");
      await runGenerate(prompt, flags, {
        usage: `mlx-gemma generate ${command.usage()}`,
        given: (name) => command.getOptionValueSource(name) === "cli",
      });
    });
}
