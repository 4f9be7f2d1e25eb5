import { Command, Option } from "commander";
import { MlxGemmaError } from "../errors.js";
import { type GenerationEvent, generate, MAX_DRAFT_TOKENS } from "../generate.js";
import { DTYPES, type LoadedPair, type LoadOptions, load } from "../load.js";
import { EXIT_CODES } from "./exit-codes.js";
import { collect, idList, numberBetween, wholeNumber } from "./options.js";
import { readPrompt } from "./prompt.js";
import { COLOUR_MODES, type ColourMode, colours } from "./ui/colour.js";
import { progress } from "./ui/progress.js";
import { statisticsLine, statisticsTable } from "./ui/statistics.js";

interface Flags {
  readonly model?: string;
  readonly draft: string;
  readonly draftTokens?: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly seed: number;
  readonly stop: readonly string[];
  readonly system?: string;
  readonly raw?: true;
  readonly promptIds?: readonly number[];
  readonly ignoreEos?: true;
  readonly chunkSize: number;
  readonly dtype?: LoadOptions["dtype"];
  readonly threads: number;
  readonly json?: true;
  readonly stats?: true;
  readonly showDrafts?: true;
  readonly quiet?: true;
  readonly color: ColourMode;
}

const ANY = Number.MAX_SAFE_INTEGER;

/** `mlx-gemma generate`. */
export function generateCommand(): Command {
  return new Command("generate")
    .description("Writes the answer to a prompt on stdout, as it is decided.")
    .argument("[prompt]", "the prompt; - or a pipe reads it from stdin")
    .option("-m, --model <folder>", "a Gemma 4 checkpoint (default: the embedded tiny pair)")
    .option(
      "--draft <assistant|none|folder>",
      "who proposes tokens; assistant: the one that belongs to the model",
      "none",
    )
    .option(
      "--draft-tokens <K>",
      "proposals a round (default: 3 with an assistant)",
      wholeNumber(0, MAX_DRAFT_TOKENS),
    )
    .option("-n, --max-tokens <N>", "the most tokens to write", wholeNumber(1, ANY), 512)
    .option("-t, --temperature <T>", "0: greedy", numberBetween(0, 100), 0)
    .option("--top-k <k>", "keep the k most likely tokens; 0: all", wholeNumber(0, ANY), 0)
    .option("--top-p <p>", "keep the likeliest tokens up to this probability", numberBetween(0, 1), 1)
    .option("--min-p <p>", "drop tokens below this share of the likeliest", numberBetween(0, 1), 0)
    .option("--seed <n>", "of sampling", wholeNumber(0, 2 ** 32 - 1), 0)
    .option("--stop <text>", "end the answer before this text (may be given again)", collect, [])
    .option("--system <text>", "a system turn before the prompt")
    .option("--raw", "no chat template: continue the prompt's text")
    .option("--prompt-ids <ids>", "token ids as they are, such as 2,5,7; needs no tokenizer", idList)
    .option("--ignore-eos", "go on past the end of the answer")
    .option("--chunk-size <n>", "prompt tokens of one evaluation", wholeNumber(1, ANY), 512)
    .addOption(new Option("--dtype <dtype>", "cast the weights (default: the checkpoint's)").choices(DTYPES))
    .option("--threads <n>", "of the CPU; 0: one for each core", wholeNumber(0, 1024), 0)
    .option("--json", "one JSON object instead of text")
    .option("--stats", "the account in full, on stderr")
    .option("--show-drafts", "colour accepted draft tokens (on a terminal)")
    .option("-q, --quiet", "the answer only: no spinner, no statistics")
    .addOption(new Option("--color <when>", "colours").choices(COLOUR_MODES).default("auto"))
    .addHelpText("after", '\nExample:\n  mlx-gemma generate --draft assistant "Tell me a story about a fox."')
    .action(run);
}

async function run(argument: string | undefined, flags: Flags, command: Command): Promise<void> {
  const prompt = await readPrompt(argument, flags.promptIds, () => command.usage());
  const interrupted = interruption();
  const spinner = progress({ quiet: flags.quiet === true || flags.json === true, color: flags.color });
  try {
    spinner.say("loading the model");
    using pair = await load({
      draft: flags.draft,
      threads: flags.threads,
      ...(flags.model !== undefined ? { model: flags.model } : {}),
      ...(flags.dtype ? { dtype: flags.dtype } : {}),
    });
    for (const note of flags.quiet ? [] : pair.warnings) process.stderr.write(`mlx-gemma: note: ${note}\n`);
    const promptIds =
      prompt.kind === "ids"
        ? prompt.ids
        : await pair.encodePrompt(prompt.text, {
            raw: flags.raw === true,
            ...(flags.system !== undefined ? { system: flags.system } : {}),
          });
    spinner.say(`reading the prompt, ${promptIds.length} tokens`);
    const end = await print(pair, promptIds, flags, interrupted.signal, () => spinner.stop());
    closing(end, promptIds, flags);
    if (end.stopReason === "aborted") process.exitCode = interrupted.exitCode();
  } finally {
    spinner.stop();
    interrupted.release();
  }
}

type EndEvent = Extract<GenerationEvent, { type: "end" }>;

/** Streams the answer to stdout (unless it goes into JSON); resolves to the end event. */
async function print(
  pair: LoadedPair,
  promptIds: readonly number[],
  flags: Flags,
  signal: AbortSignal,
  onFirst: () => void,
): Promise<EndEvent> {
  const chalk = colours(flags.color, process.stdout);
  const { temperature, topK, topP, minP, seed, maxTokens, stop, chunkSize, draftTokens, ignoreEos } = flags;
  const events = generate(pair, {
    promptIds,
    temperature,
    topK,
    topP,
    minP,
    seed,
    maxTokens,
    stop,
    chunkSize,
    ignoreEos: ignoreEos === true,
    signal,
    ...(draftTokens !== undefined ? { draftTokens } : {}),
  });
  let last = "";
  for await (const event of events) {
    if (event.type === "end") {
      if (!flags.json && last !== "" && !last.endsWith("\n")) process.stdout.write("\n");
      return event;
    }
    if (event.type !== "tokens") continue;
    onFirst();
    if (flags.json) continue;
    for (const piece of event.pieces) {
      if (piece.text === "") continue;
      last = piece.text;
      const shown = flags.showDrafts && piece.drafted ? chalk.green(piece.text) : piece.text;
      if (!process.stdout.write(shown)) await new Promise((resolve) => process.stdout.once("drain", resolve));
    }
    if (!pair.tokenizer) {
      last = "\n";
      process.stdout.write(`${event.ids.join("\n")}\n`);
    }
  }
  throw new MlxGemmaError("native", "the generation ended without its end event");
}

function closing(end: EndEvent, promptIds: readonly number[], flags: Flags): void {
  if (flags.json) {
    const { text, tokenIds, stopReason, stats } = end;
    process.stdout.write(
      `${JSON.stringify({ text, tokenIds, promptTokenIds: promptIds, stopReason, stats })}\n`,
    );
    return;
  }
  if (flags.quiet) return;
  const chalk = colours(flags.color, process.stderr);
  if (process.stderr.isTTY) {
    process.stderr.write(`${statisticsLine(end.stats, chalk, process.stderr.columns ?? 80)}\n`);
  }
  if (flags.stats) process.stderr.write(`${statisticsTable(end.stats, chalk)}\n`);
}

/** The first Ctrl-C (or SIGTERM) ends the generation at the next round; a second one ends the process at once. */
function interruption() {
  const controller = new AbortController();
  let code = EXIT_CODES.aborted;
  const on = (signal: NodeJS.Signals) => {
    code = signal === "SIGTERM" ? 143 : 130;
    if (controller.signal.aborted) process.exit(code);
    controller.abort();
  };
  process.on("SIGINT", on).on("SIGTERM", on);
  return {
    signal: controller.signal,
    exitCode: () => code,
    release: () => process.off("SIGINT", on).off("SIGTERM", on),
  };
}
