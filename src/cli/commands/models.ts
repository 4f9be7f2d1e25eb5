import { CliCommand } from "../command.js";
import type { ColourMode } from "../ui/colour-mode.js";

/** The options of `models`, as they were parsed. */
export interface ModelsFlags {
  readonly json?: true;
  readonly color: ColourMode;
}

/** The options of `models rm`, as they were parsed. */
export interface RemoveFlags {
  readonly yes?: true;
  readonly json?: true;
  readonly quiet?: true;
}

/** `mlx-gemma models` and `mlx-gemma models rm`: their options. */
export function modelsCommand(): CliCommand {
  const remove = new CliCommand("rm")
    .description("Removes a checkpoint from the cache, after a question.")
    .argument("<repository>", "org/name, or org/name@revision for that snapshot alone")
    .option("-y, --yes", "do not ask")
    .withOutput({ json: "one JSON object: what was removed", quiet: "do not tell what was removed" })
    .closeWith({
      examples: [
        "mlx-gemma models rm google/gemma-4-E2B-it",
        "mlx-gemma models rm google/gemma-4-E2B-it --yes --json | jq .bytes",
      ],
    })
    .action(async (repository: string, flags: RemoveFlags) => {
      const { runRemove } = await import("./run-remove.js");
      await runRemove(repository, flags);
    });
  return new CliCommand("models")
    .description("Lists the Gemma 4 checkpoints in the cache, and those that are published.")
    .withOutput({ json: "one JSON object instead of tables", quiet: "no notes" })
    .closeWith({
      examples: ["mlx-gemma models", "mlx-gemma models --json | jq -r '.cached[].id'"],
    })
    .action(async (flags: ModelsFlags) => {
      const { runModels } = await import("./run-models.js");
      await runModels(flags);
    })
    .addCommand(remove);
}
