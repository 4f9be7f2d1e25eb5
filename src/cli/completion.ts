import { Argument } from "commander";
import { CliCommand } from "./command.js";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

/** `mlx-gemma completion`. */
export function completionCommand(): CliCommand {
  return new CliCommand("completion")
    .description("Writes a script that completes commands, options and their values in a shell.")
    .addArgument(new Argument("<shell>", "whose").choices(SHELLS))
    .closeWith({
      examples: [
        'eval "$(mlx-gemma completion bash)"        # in ~/.bashrc',
        "source <(mlx-gemma completion zsh)         # in ~/.zshrc, after compinit",
        "mlx-gemma completion fish | source         # in config.fish",
      ],
    })
    .action(async (shell: Shell) => {
      const { runCompletion } = await import("./run-completion.js");
      await runCompletion(shell);
    });
}
