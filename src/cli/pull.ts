import { Command, Option } from "commander";
import { choiceOption } from "./options.js";
import { COLOUR_MODES, type ColourMode } from "./ui/colour-mode.js";

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
export function pullCommand(): Command {
  return new Command("pull")
    .description("Downloads a checkpoint of the hub into the cache that Python's huggingface_hub uses too.")
    .argument("<repository>", "org/name or org/name@revision")
    .addOption(
      new Option(
        "--draft <who>",
        "which assistant to download too: assistant (the one that belongs to it), none, or an org/name",
      ).default("none", "none"),
    )
    .option("--revision <name>", "branch, tag or commit of the repository (default: main)")
    .option("--verify", "hash what the cache has already, and fetch anew what is broken")
    .option("--json", "one JSON object instead of the folders")
    .option("-q, --quiet", "the folders only: no progress, no notes")
    .addOption(choiceOption("--color <when>", "colours", COLOUR_MODES).default("auto"))
    .addHelpText(
      "after",
      "\nWrites the folder of each checkpoint on stdout. A download that was cut goes on where it stopped." +
        "\n\nExample:\n  mlx-gemma pull google/gemma-4-E2B-it --draft assistant",
    )
    .action(async (repository: string, flags: PullFlags) => {
      const { runPull } = await import("./run-pull.js");
      await runPull(repository, flags);
    });
}
