import { CliCommand } from "../command.js";

/** The options of `report`, as they were parsed. */
export interface ReportFlags {
  readonly html?: string;
  readonly json?: true;
}

/** `mlx-gemma report`: its options. What it does is loaded when it runs. */
export function reportCommand(): CliCommand {
  return new CliCommand("report")
    .description("Makes a page to look at of what bench --save or generate --trace wrote.")
    .argument("<file>", "the saved run")
    .option("--html <file>", "where to write the page (default: stdout)")
    .withOutput({ json: "one JSON object that says what was saved, and holds the page", quiet: "no notes" })
    .closeWith({
      examples: [
        "mlx-gemma report before.json --html before.html",
        "mlx-gemma report before.json > before.html",
      ],
    })
    .action(async (file: string, flags: ReportFlags) => {
      const { runReport } = await import("./run-report.js");
      await runReport(file, flags);
    });
}
