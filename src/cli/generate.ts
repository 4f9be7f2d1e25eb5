import { Command, Option } from "commander";
import { DEFAULTS, MAX_DRAFT_TOKENS } from "../options.js";
import type { Flags } from "./flags.js";
import { choiceOption, dtypeOption, idsOption, numberOption, textsOption, threadsOption } from "./options.js";
import { COLOUR_MODES } from "./ui/colour-mode.js";

const K = { low: 0, high: MAX_DRAFT_TOKENS, whole: true } as const;
const COUNT = { low: 1, whole: true } as const;
const SEED = { low: 0, high: 2 ** 32 - 1, whole: true } as const;

/** `mlx-gemma generate`: its options. What it does is loaded when it runs, so that `--help` is quick. */
export function generateCommand(): Command {
  const assistantK = `proposals a round, 0 to ${MAX_DRAFT_TOKENS} (default: ${DEFAULTS.draftTokens} with an assistant)`;
  return new Command("generate")
    .description("Writes the answer to a prompt on stdout, as it is decided.")
    .argument("[prompt]", "the prompt; - or a pipe reads it from stdin")
    .option(
      "-m, --model <which>",
      "a Gemma 4 checkpoint: a folder, or org/name[@revision] of the hub (default: the embedded tiny pair)",
    )
    .option("--revision <name>", "branch, tag or commit of the model on the hub (default: main)")
    .option("--offline", "take what the hub's cache has, download nothing")
    .addOption(
      new Option(
        "--draft <who>",
        "who proposes tokens: assistant (the one that belongs to the model), none, a folder, or org/name",
      ).default("none", "none"),
    )
    .addOption(numberOption("--draft-tokens <K>", assistantK, K))
    .addOption(
      numberOption("-n, --max-tokens <N>", "the most tokens to write", COUNT).default(DEFAULTS.maxTokens),
    )
    .addOption(numberOption("-t, --temperature <T>", "0: greedy", { low: 0, high: 100 }).default(0))
    .addOption(
      numberOption("--top-k <k>", "keep the k likeliest tokens; 0: all", { low: 0, whole: true }).default(0),
    )
    .addOption(
      numberOption("--top-p <p>", "keep the likeliest tokens up to this probability", {
        low: 0,
        high: 1,
        above: true,
      }).default(1),
    )
    .addOption(
      numberOption("--min-p <p>", "drop tokens below this share of the likeliest", {
        low: 0,
        high: 1,
      }).default(0),
    )
    .addOption(numberOption("--seed <n>", "of sampling; the same seed, the same text", SEED).default(0))
    .addOption(textsOption("--stop <text>", "end the answer before this text (may be given again)"))
    .addOption(
      new Option("--system <text>", "a system turn before the prompt").conflicts(["raw", "promptIds"]),
    )
    .addOption(new Option("--raw", "no chat template: continue the prompt's text").conflicts("promptIds"))
    .addOption(idsOption("--prompt-ids <ids>", "token ids as they are, such as 2,5,7; needs no tokenizer"))
    .option("--ignore-eos", "go on past the end of the answer")
    .addOption(
      numberOption("--chunk-size <n>", "prompt tokens of one evaluation", COUNT).default(DEFAULTS.chunkSize),
    )
    .addOption(dtypeOption())
    .addOption(threadsOption())
    .option("--require-exact", "refuse a device on which drafted text may differ from plain text")
    .option("--json", "one JSON object instead of text")
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
