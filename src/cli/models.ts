import { Command } from "commander";
import { choiceOption } from "./options.js";
import { COLOUR_MODES, type ColourMode } from "./ui/colour-mode.js";

export interface ModelsFlags {
  readonly json?: true;
  readonly color: ColourMode;
}

export interface RemoveFlags {
  readonly yes?: true;
}

/** `mlx-gemma models` and `mlx-gemma models rm`: their options. */
export function modelsCommand(): Command {
  const remove = new Command("rm")
    .description("Removes a checkpoint from the cache, after a question.")
    .argument("<repository>", "org/name, or org/name@revision for that snapshot alone")
    .option("-y, --yes", "do not ask")
    .action(async (repository: string, flags: RemoveFlags) => {
      const { runRemove } = await import("./run-remove.js");
      await runRemove(repository, flags);
    });
  return new Command("models")
    .description("Lists the Gemma 4 checkpoints in the cache, and those that are published.")
    .option("--json", "one JSON object instead of tables")
    .addOption(choiceOption("--color <when>", "colours", COLOUR_MODES).default("auto"))
    .action(async (flags: ModelsFlags) => {
      const { runModels } = await import("./run-models.js");
      await runModels(flags);
    })
    .addCommand(remove);
}
