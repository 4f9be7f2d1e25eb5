import { Argument } from "commander";
import { MlxGemmaError } from "../../errors.js";
import { CliCommand } from "../command.js";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

/** The options of `completion`, as they were parsed. */
export interface CompletionFlags {
  readonly json?: true;
}

function readShell(word: string): Shell {
  const shell = SHELLS.find((each) => each === word);
  if (shell) return shell;
  throw new MlxGemmaError(
    "usage",
    `completion: expected bash, zsh or fish, found ${JSON.stringify(word.slice(0, 40))}`,
  );
}

/** `mlx-gemma completion`. */
export function completionCommand(): CliCommand {
  return new CliCommand("completion")
    .description("Writes a script that completes commands, options and their values in a shell.")
    .addArgument(new Argument("<shell>", "whose").choices(SHELLS).argParser(readShell))
    .withOutput({ json: "one JSON object that holds the script", quiet: "no notes" })
    .closeWith({
      examples: [
        'eval "$(mlx-gemma completion bash)"        # in ~/.bashrc',
        "source <(mlx-gemma completion zsh)         # in ~/.zshrc, after compinit",
        "mlx-gemma completion fish | source         # in config.fish",
      ],
    })
    .action(async (shell: Shell, flags: CompletionFlags) => {
      const { runCompletion } = await import("./run-completion.js");
      await runCompletion(shell, flags);
    });
}
