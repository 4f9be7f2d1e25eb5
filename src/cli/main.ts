import { inspect } from "node:util";
import { type Command, CommanderError } from "commander";
import { MlxGemmaError } from "../errors.js";
import { refuseWarnings, type Strictness, type Warning } from "../warnings.js";
import { CliCommand, PrintConfig } from "./command.js";
import { EXIT_CODES, EXIT_OTHER } from "./exit-codes.js";
import { commandsOf, makeProgram } from "./program.js";
import { findConfigFile } from "./settings/find.js";
import { strangers } from "./settings/strangers.js";
import { endsWithReader } from "./stdout.js";
import { forTerminal, shownOn } from "./ui/terminal-text.js";
import { tellWarnings } from "./warnings.js";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // A reader that has seen enough (`| head`) closes the pipe: that is no error.
  if (error.code === "EPIPE") {
    if (endsWithReader()) process.exit(0);
    return;
  }
  process.stderr.write(`mlx-gemma: stdout: can't be written (${error.message})\n`);
  process.exit(EXIT_OTHER);
});
// Where nobody reads what is said beside the answer, the answer goes on.
process.stderr.on("error", () => {});

let file: string | undefined;
let verbose = false;
let commands: readonly CliCommand[] = [];
try {
  const path = findConfigFile(currentFolder(), process.env);
  file = path;
  const readFile = path === undefined ? undefined : (await import("./settings/file.js")).readConfigFile;
  const program: CliCommand = makeProgram({
    environment: process.env,
    // Read once a command asks for it: `--help` has to work with a broken one.
    file: () => (path === undefined ? undefined : readFile?.(path, commands)),
  });
  commands = commandsOf(program);
  program.hook("preAction", async (_, command) => {
    const found = strangers(process.env, commands);
    refuseWarnings(found, command.opts<Strictness>());
    tellStrangers(found, command);
    verbose = command.getOptionValue("verbose") === true;
    if (verbose && command instanceof CliCommand) {
      const { settingsLines } = await import("./settings/print.js");
      for (const line of settingsLines(command)) process.stderr.write(`mlx-gemma: ${forTerminal(line)}\n`);
    }
  });
  await program.parseAsync();
} catch (error) {
  if (error instanceof PrintConfig) {
    tellStrangers(strangers(process.env, commands), error.command);
    const { printConfig } = await import("./settings/print.js");
    process.stdout.write(shownOn(process.stdout, printConfig(error.command, file)));
  } else {
    process.exitCode = report(error);
  }
}

/** @throws MlxGemmaError `usage` where it was removed */
function currentFolder(): string {
  try {
    return process.cwd();
  } catch (cause) {
    throw new MlxGemmaError("usage", "the current folder is not there any more; change to one that is", {
      cause,
    });
  }
}

function tellStrangers(found: readonly Warning[], command: Command): void {
  const warn = (text: string) => process.stderr.write(`mlx-gemma: warning: ${forTerminal(text)}\n`);
  tellWarnings(found, command.opts<Strictness>(), { warn });
}

/** One line for a user's mistake, a stack only for a defect of ours or with `--verbose`; returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_CODES.usage;
  if (error instanceof MlxGemmaError) {
    process.stderr.write(`mlx-gemma: ${forTerminal(error.message.replace(/\s*\n\s*/g, " "))}\n`);
    if (verbose) process.stderr.write(`${forTerminal(inspect(error))}\n`);
    return EXIT_CODES[error.code];
  }
  const what = error instanceof Error ? error.stack : String(error);
  process.stderr.write(`mlx-gemma: unexpected error, please report it\n${forTerminal(String(what))}\n`);
  return EXIT_OTHER;
}
