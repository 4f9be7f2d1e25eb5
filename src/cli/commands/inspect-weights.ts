import { Option } from "commander";
import type { Strictness } from "../../warnings.js";
import { CliCommand } from "../command.js";
import { numberOption } from "../options.js";
import { strictOptions, withOptions } from "../pair-options.js";
import type { ColourMode } from "../ui/colour-mode.js";

/** The options of `inspect-weights`, as they were parsed. */
export interface InspectFlags extends Strictness {
  readonly revision?: string;
  readonly offline?: true;
  /** true: all of them. */
  readonly tensors?: string | true;
  readonly tree?: true;
  readonly stats?: true;
  readonly check?: true;
  readonly headersOnly?: true;
  readonly pair?: string;
  readonly diff?: string;
  /** GB/s. */
  readonly bandwidth: number;
  readonly threads?: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly color: ColourMode;
}

const BANDWIDTH = { low: 0, high: 1e6, above: true } as const;
const EXAMPLES = [
  "mlx-gemma inspect-weights google/gemma-4-E2B-it",
  "mlx-gemma inspect-weights ./gemma-4-E2B-it --tensors '*.0.self_attn.*'",
  "mlx-gemma inspect-weights ./gemma-4-E2B-it --check && echo sound",
  "mlx-gemma inspect-weights ./gemma-4-E2B-it --pair ./gemma-4-E2B-it-assistant",
  "mlx-gemma inspect-weights ./gemma-4-E2B-it --diff ./gemma-4-E2B-it-4bit --stats",
];

/** `mlx-gemma inspect-weights`: its options. What it does is loaded when it runs. */
export function inspectWeightsCommand(): CliCommand {
  const command = new CliCommand("inspect-weights")
    .description(
      "Shows what a checkpoint is. Reads headers, no weights, unless --stats or --check ask for them; of a repository on " +
        "the hub too, without downloading it.",
    )
    .argument("[checkpoint]", "a folder, or org/name[@revision] of the hub (default: the embedded target)")
    .optionsGroup("What is shown (default: what the checkpoint is, by part):")
    .addOption(
      new Option(
        "--tensors [pattern]",
        "every tensor, or those whose name fits: * and ? and {a,b}, or a part of the name; also for --tree, --stats, --diff",
      ),
    )
    .addOption(
      new Option("--tree", "names as a tree, layers that are alike once").conflicts(["stats", "diff"]),
    )
    .addOption(new Option("--stats", "statistics of the values; reads them"))
    .addOption(
      new Option(
        "--check",
        "every flaw, a line each; exit code 1 if there is one; reads the values",
      ).conflicts(["tensors", "tree", "stats", "pair", "diff"]),
    )
    .addOption(
      new Option(
        "--pair <assistant>",
        "every rule that target and assistant must keep, with both values",
      ).conflicts(["tensors", "tree", "stats", "diff"]),
    )
    .addOption(
      new Option(
        "--diff <other>",
        "how another checkpoint differs, with --stats the values too; exit code 1 if it does",
      ),
    )
    .optionsGroup("How:")
    .option("--headers-only", "of --check: do not read the values")
    .addOption(
      numberOption("--bandwidth <GB/s>", "of the memory, for the read limit", BANDWIDTH).default(100),
    )
    .addOption(
      numberOption(
        "--threads <n>",
        "that read values; 0: none beside the main one (default: one for each core, at most 8)",
        {
          low: 0,
          high: 64,
          whole: true,
        },
      ),
    )
    .option("--revision <name>", "branch, tag or commit of the hub's repository (default: main)")
    .option("--offline", "use what the hub's cache has, ask no server");
  return withOptions(command, strictOptions())
    .withOutput({ json: "one JSON object instead of text", quiet: "no progress, no notes" })
    .closeWith({ examples: EXAMPLES })
    .action(async (checkpoint: string | undefined, flags: InspectFlags) => {
      const { runInspectWeights } = await import("./run-inspect-weights.js");
      await runInspectWeights(checkpoint, flags);
    });
}
