import { Command } from "commander";
import type { PairFlags } from "./flags.js";
import { choiceOption } from "./options.js";
import { pairOptions, withOptions } from "./pair-options.js";
import { COLOUR_MODES, type ColourMode } from "./ui/colour-mode.js";

/** The options of `doctor`, as they were parsed. */
export interface DoctorFlags extends PairFlags {
  readonly exact?: true;
  readonly json?: true;
  readonly quiet?: true;
  readonly color: ColourMode;
}

/** `mlx-gemma doctor`: its options. */
export function doctorCommand(): Command {
  const command = new Command("doctor").description(
    "Looks at the machine, the installation, the hub and the embedded pair; each line says what to do. Holds nothing secret.",
  );
  return withOptions(command, pairOptions())
    .option(
      "--exact",
      "also hold blocks of 2 to 16 rows of the pair against single rows, bit for bit, on this device",
    )
    .option("--json", "one JSON object instead of lines")
    .option("-q, --quiet", "no spinner")
    .addOption(choiceOption("--color <when>", "colours", COLOUR_MODES).default("auto"))
    .addHelpText(
      "after",
      "\nExit code 1 when a line says fail. With --offline the hub is not asked.\n\nExamples:\n  mlx-gemma doctor\n  mlx-gemma doctor --exact --model google/gemma-4-E2B-it",
    )
    .action(async (flags: DoctorFlags) => {
      const { runDoctor } = await import("./run-doctor.js");
      await runDoctor(flags);
    });
}
