import { Option } from "commander";
import {
  BENCH_DEFAULTS,
  OUTPUT_FORMATS,
  type OutputFormat,
  SUITES,
  type SuiteName,
} from "../../bench/options.js";
import { type DraftTokens, MAX_DRAFT_TOKENS } from "../../options.js";
import { CliCommand } from "../command.js";
import type { PairFlags } from "../flags.js";
import { choiceOption, listOption, numberOption, textsOption } from "../options.js";
import { pairOptions, withOptions } from "../pair-options.js";
import { type GivenSampling, samplingOption } from "../sampling-option.js";
import type { ColourMode } from "../ui/colour-mode.js";

/** The options of `bench`, as they were parsed. */
export interface BenchFlags extends Omit<PairFlags, "draftTokens"> {
  readonly draftTokens?: readonly DraftTokens[];
  readonly suite?: readonly SuiteName[];
  readonly prompts?: readonly string[];
  readonly maxTokens: number;
  readonly repetitions: number;
  readonly context?: readonly number[];
  readonly sampling?: readonly GivenSampling[];
  readonly output: OutputFormat;
  readonly json?: true;
  readonly save?: string;
  readonly html?: string;
  readonly compare?: string;
  readonly tolerance: number;
  readonly quiet?: true;
  readonly color: ColourMode;
}

/** `mlx-gemma bench`: its options. What it does is loaded when it runs. */
export function benchCommand(): CliCommand {
  const command = new CliCommand("bench").description(
    "Measures whether drafting pays: for this model, on this machine, by kind of text and number of draft tokens.",
  );
  return withOptions(command, pairOptions("assistant"))
    .optionsGroup("What is measured:")
    .addOption(
      listOption(
        "--draft-tokens <K,…>",
        `proposals a round, 0 to ${MAX_DRAFT_TOKENS} each, or auto; plain decoding is always measured (default: ${BENCH_DEFAULTS.draftTokens.join(",")})`,
        {
          expected: `whole numbers from 0 to ${MAX_DRAFT_TOKENS}, or auto, such as 1,3,auto`,
          read: readDraftTokens,
        },
      ),
    )
    .addOption(
      listOption(
        "--suite <name,…>",
        `kinds of text: ${SUITES.join(", ")} (default: ${BENCH_DEFAULTS.suites.join(",")})`,
        {
          expected: `suites among ${SUITES.join(", ")}`,
          read: (part) => SUITES.find((name) => name === part),
        },
      ),
    )
    .addOption(
      textsOption("--prompts <file>", "prompts of your own, JSONL of strings or chats (may be given again)"),
    )
    .addOption(
      numberOption("-n, --max-tokens <N>", "the most tokens of an answer", { low: 2, whole: true }).default(
        BENCH_DEFAULTS.maxTokens,
      ),
    )
    .addOption(
      numberOption("-r, --repetitions <R>", "of every measurement, after a warm-up", {
        low: 1,
        high: 1000,
        whole: true,
      }).default(BENCH_DEFAULTS.repetitions),
    )
    .addOption(
      listOption("--context <N,…>", "tokens to fill every prompt up to (default: prompts as they are)", {
        expected: "numbers of tokens, such as 512,4096",
        read: (part) => (/^[1-9]\d{0,7}$/.test(part) ? Number(part) : undefined),
      }),
    )
    .addOption(
      samplingOption(
        "--sampling <how>",
        "greedy, or T=0.7, with top-k=, top-p=, min-p=, seed= after commas (may be given again; default: greedy)",
      ),
    )
    .optionsGroup("Output:")
    .addOption(
      choiceOption("-o, --output <format>", "of the result on stdout", OUTPUT_FORMATS).default("table"),
    )
    .addOption(new Option("--json", "the same as -o json").conflicts("output"))
    .option("--save <file>", "write all figures as JSON, for --compare and mlx-gemma report")
    .option("--html <file>", "write a page to look at")
    .option("--compare <file>", "hold the figures against a saved run; a regression is exit code 11")
    .addOption(
      numberOption("--tolerance <share>", "how much lower a figure may be without being a regression", {
        low: 0,
        high: 1,
      }).default(BENCH_DEFAULTS.tolerance),
    )
    .withOutput({ quiet: "no progress, no notes" })
    .closeWith({
      notes: "With --draft none plain decoding alone is measured.",
      examples: [
        "mlx-gemma bench --suite chat --draft-tokens 1,3,6",
        "mlx-gemma bench --prompts mine.jsonl --save before.json",
        "mlx-gemma bench --prompts mine.jsonl --compare before.json",
      ],
    })
    .action(async (flags: BenchFlags) => {
      const { runBench } = await import("./run-bench.js");
      await runBench(flags);
    });
}

function readDraftTokens(part: string): DraftTokens | undefined {
  if (part === "auto") return "auto";
  return /^\d{1,2}$/.test(part) && Number(part) <= MAX_DRAFT_TOKENS ? Number(part) : undefined;
}
