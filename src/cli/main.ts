import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { MlxGemmaError } from "../errors.js";
import { EXIT_CODES, EXIT_HELP } from "./exit-codes.js";
import { generateCommand } from "./generate.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

// A reader that has seen enough (`| head`) closes the pipe: that is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const program = new Command("mlx-gemma")
  .description("Gemma 4 with its MTP assistant on MLX: faster text, the same tokens.")
  .version(version)
  .showSuggestionAfterError()
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "mlx-gemma: ")) })
  .addHelpText("after", EXIT_HELP);
program.addCommand(generateCommand().copyInheritedSettings(program).addHelpText("after", EXIT_HELP));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** One line for a user's mistake; a stack only for a defect of ours. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_CODES.usage;
  if (error instanceof MlxGemmaError) {
    process.stderr.write(`mlx-gemma: ${error.message}\n`);
    return EXIT_CODES[error.code];
  }
  process.stderr.write(
    `mlx-gemma: unexpected error, please report it\n${error instanceof Error ? error.stack : error}\n`,
  );
  return 1;
}
