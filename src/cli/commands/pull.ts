import { Option } from "commander";
import { CliCommand } from "../command.js";
import type { ColourMode } from "../ui/colour-mode.js";

/** The options of `pull`, as they were parsed. */
export interface PullFlags {
  readonly draft: string;
  readonly revision?: string;
  readonly verify?: true;
  readonly json?: true;
  readonly quiet?: true;
  readonly color: ColourMode;
}

/** `mlx-gemma pull`: its options. */
export function pullCommand(): CliCommand {
  return new CliCommand("pull")
    .description("Downloads a checkpoint of the hub into the cache that Python's huggingface_hub uses too.")
    .argument("<repository>", "org/name or org/name@revision")
    .optionsGroup("What is downloaded:")
    .addOption(
      new Option(
        "--draft <who>",
        "which assistant to download too: assistant (the one that belongs to it), none, or an org/name",
      ).default("none", "none"),
    )
    .option("--revision <name>", "branch, tag or commit of the repository (default: main)")
    .option("--verify", "hash what the cache has already, and fetch anew what is broken")
    .withOutput({
      json: "one JSON object instead of the folders",
      quiet: "the folders only: no progress, no notes",
    })
    .closeWith({
      notes:
        "Writes the folder of each checkpoint on stdout. A download that was cut goes on where it stopped.",
      examples: [
        "mlx-gemma pull google/gemma-4-E2B-it --draft assistant",
        "mlx-gemma pull google/gemma-4-E2B-it@main --verify",
      ],
    })
    .action(async (repository: string, flags: PullFlags) => {
      const { runPull } = await import("./run-pull.js");
      await runPull(repository, flags);
    });
}
