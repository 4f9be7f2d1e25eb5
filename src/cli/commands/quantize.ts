import { Option } from "commander";
import { DTYPES, type DtypeName } from "../../options.js";
import { BITS, GROUP_SIZES, MODES, RECIPE_NAMES } from "../../quantize/options.js";
import { CliCommand } from "../command.js";
import { choiceOption, numberOption } from "../options.js";
import type { ColourMode } from "../ui/colour-mode.js";

/** The options of `quantize`, as they were parsed. */
export interface QuantizeFlags {
  readonly model?: string;
  readonly revision?: string;
  readonly offline?: true;
  readonly output: string;
  readonly bits?: number;
  readonly groupSize?: number;
  readonly mode?: string;
  readonly mixed?: string;
  readonly dtype?: DtypeName;
  readonly quantizeEmbedding?: true;
  readonly target?: string;
  /** false: `--no-check`. */
  readonly check: boolean;
  readonly force?: true;
  readonly json?: true;
  readonly quiet?: true;
  readonly color: ColourMode;
}

const WHOLE = { low: 1, high: 1024, whole: true } as const;

/** `mlx-gemma quantize`: its options. What it does is loaded when it runs. */
export function quantizeCommand(): CliCommand {
  return new CliCommand("quantize")
    .description(
      "Packs a target's or an assistant's weights into fewer bits, as a folder that MLX programs read.",
    )
    .optionsGroup("From, to:")
    .option(
      "-m, --model <checkpoint>",
      "a target or an assistant with float weights: a folder, or org/name of the hub (default: the embedded target)",
    )
    .option("--revision <name>", "branch, tag or commit of the hub's repository (default: main)")
    .option("--offline", "use what the hub's cache has, ask no server")
    .requiredOption("-o, --output <folder>", "the new folder; it appears when it is whole")
    .option("--force", "replace a folder that quantize wrote")
    .optionsGroup("How weights are packed:")
    .addOption(
      numberOption(
        "--bits <n>",
        `bits of a weight: ${BITS.join(", ")} (default: 4, or the mode's own)`,
        WHOLE,
      ),
    )
    .addOption(
      numberOption(
        "--group-size <n>",
        `weights of one scale: ${GROUP_SIZES.join(", ")} (default: 64, or the mode's own)`,
        WHOLE,
      ),
    )
    .addOption(choiceOption("--mode <mode>", "how weights are packed (default: affine)", MODES))
    .addOption(
      choiceOption(
        "--mixed <recipe>",
        "most weights in the first number of bits, sensitive ones in the second",
        RECIPE_NAMES,
      ).conflicts("bits"),
    )
    .addOption(
      choiceOption(
        "--dtype <dtype>",
        "of the weights that stay floats, and of scales (default: the checkpoint's)",
        DTYPES,
      ),
    )
    .option(
      "--quantize-embedding",
      "also pack embed_tokens of an assistant with a centroid head (mlx-vlm cannot draft with it)",
    )
    .optionsGroup("Check:")
    .addOption(new Option("--target <folder>", "of an assistant: its target, to compare its drafts with"))
    .option("--no-check", "do not compare the logits before and after, which loads both")
    .withOutput({ json: "one JSON object instead of text", quiet: "no progress, no notes" })
    .closeWith({
      examples: [
        "mlx-gemma quantize --model gemma-4-E4B-it --bits 4 -o gemma-4-E4B-it-4bit",
        "mlx-gemma quantize --model gemma-4-E4B-it --mode mxfp4 --no-check -o gemma-4-E4B-it-mxfp4",
      ],
    })
    .action(async (flags: QuantizeFlags) => {
      const { runQuantize } = await import("./run-quantize.js");
      await runQuantize(flags);
    });
}
