import { CliCommand } from "../command.js";
import type { PairFlags } from "../flags.js";
import { pairOptions, withOptions } from "../pair-options.js";
import type { ColourMode } from "../ui/colour-mode.js";

/** The options of `doctor`, as they were parsed. */
export interface DoctorFlags extends PairFlags {
  readonly exact?: true;
  readonly json?: true;
  readonly quiet?: true;
  readonly color: ColourMode;
}

/** `mlx-gemma doctor`: its options. */
export function doctorCommand(): CliCommand {
  const command = new CliCommand("doctor").description(
    "Looks at the machine, the installation, the hub and the embedded pair; each line says what to do. Holds nothing secret.",
  );
  return withOptions(command, pairOptions())
    .optionsGroup("What is looked at:")
    .option(
      "--exact",
      "also hold blocks of 2 to 16 rows of the pair against single rows, bit for bit, on this device",
    )
    .withOutput({ json: "one JSON object instead of lines", quiet: "no spinner" })
    .closeWith({
      notes: "Exit code 1 when a line says fail. With --offline the hub is not asked.",
      examples: [
        "mlx-gemma doctor",
        "mlx-gemma doctor --offline --json > doctor.json",
        "mlx-gemma doctor --exact --model google/gemma-4-E2B-it",
      ],
    })
    .action(async (flags: DoctorFlags) => {
      const { runDoctor } = await import("./run-doctor.js");
      await runDoctor(flags);
    });
}
