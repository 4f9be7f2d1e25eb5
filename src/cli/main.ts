import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { MlxGemmaError } from "../errors.js";
import { benchCommand } from "./bench.js";
import { chatCommand } from "./chat.js";
import { doctorCommand } from "./doctor.js";
import { EXIT_CODES, EXIT_HELP, EXIT_OTHER } from "./exit-codes.js";
import { generateCommand } from "./generate.js";
import { inspectWeightsCommand } from "./inspect-weights.js";
import { modelsCommand } from "./models.js";
import { pullCommand } from "./pull.js";
import { quantizeCommand } from "./quantize.js";
import { reportCommand } from "./report.js";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // A reader that has seen enough (`| head`) closes the pipe: that is no error.
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`mlx-gemma: stdout: can't be written (${error.message})\n`);
  process.exit(EXIT_OTHER);
});
// Where nobody reads what is said beside the answer, the answer goes on.
process.stderr.on("error", () => {});

try {
  await program().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function program(): Command {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const main = new Command("mlx-gemma")
    .description("Gemma 4 with its MTP assistant on MLX: faster text, the same tokens.")
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(asLine(text)) })
    .addHelpText("after", EXIT_HELP);
  for (const command of [
    generateCommand(),
    benchCommand(),
    chatCommand(),
    reportCommand(),
    pullCommand(),
    modelsCommand(),
    quantizeCommand(),
    inspectWeightsCommand(),
    doctorCommand(),
  ]) {
    for (const each of [command, ...command.commands]) each.copyInheritedSettings(main);
    main.addCommand(command.addHelpText("after", EXIT_HELP));
  }
  return main;
}

/** Commander's message, its suggestion included, as one line. */
function asLine(text: string): string {
  const line = text
    .replace(/^error: /, "")
    .trim()
    .replace(/\s*\n\s*/g, " ");
  const advice = /^unknown option '-[^']*\s/.test(line)
    ? "a prompt that begins with a dash goes after --"
    : line.startsWith("too many arguments for 'generate'")
      ? "put the prompt in quotes"
      : `see mlx-gemma ${commandIn(process.argv) ?? "generate"} --help`;
  return `mlx-gemma: ${line.replace(/\.$/, "")}; ${advice}\n`;
}

/** The command that was given, if it is one. */
function commandIn(argv: readonly string[]): string | undefined {
  return [
    "generate",
    "chat",
    "bench",
    "report",
    "pull",
    "models",
    "quantize",
    "inspect-weights",
    "doctor",
  ].find((name) => name === argv[2]);
}

/** One line for a user's mistake, a stack only for a defect of ours; returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_CODES.usage;
  if (error instanceof MlxGemmaError) {
    process.stderr.write(`mlx-gemma: ${error.message.replace(/\s*\n\s*/g, " ")}\n`);
    return EXIT_CODES[error.code];
  }
  const what = error instanceof Error ? error.stack : String(error);
  process.stderr.write(`mlx-gemma: unexpected error, please report it\n${what}\n`);
  return EXIT_OTHER;
}
