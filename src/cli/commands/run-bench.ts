import { aboutMachine } from "../../bench/about.js";
import { bench } from "../../bench/bench.js";
import { checkComparable, readReport } from "../../bench/compare.js";
import type { MeasureProgress } from "../../bench/measure.js";
import { BENCH_DEFAULTS } from "../../bench/options.js";
import { makePlan, type NamedSampling, type Plan } from "../../bench/plan.js";
import { openSuite, readPrompts, type Suite } from "../../bench/prompts.js";
import type { Report } from "../../bench/report.js";
import { stepBytes } from "../../bench/step-bytes.js";
import { locateCheckpoint, openAssistant, openTarget } from "../../checkpoint/index.js";
import { MlxGemmaError } from "../../errors.js";
import { DTYPE_OF } from "../../load.js";
import { readBandwidth } from "../../mlx/read-bandwidth.js";
import type { DraftTokens } from "../../options.js";
import { checkSampling, GREEDY } from "../../speculative/sampling.js";
import { duration } from "../../units.js";
import { formatReport } from "../bench-output.js";
import { EXIT_OTHER, EXIT_REGRESSION } from "../exit-codes.js";
import { onInterruption } from "../interruption.js";
import { checkRevisionFlag, openPair } from "../open-pair.js";
import { checkOutputs, writeOutput } from "../output-file.js";
import { write } from "../stdout.js";
import { colours } from "../ui/colour.js";
import { downloadBar } from "../ui/download-bar.js";
import { openProgress, type Progress } from "../ui/progress.js";
import { forTerminal } from "../ui/terminal-text.js";
import { tellWarnings } from "../warnings.js";
import type { BenchFlags } from "./bench.js";

/** Runs `mlx-gemma bench`. Sets the exit code of an interruption, a failed bench or a regression; an error is thrown. */
export async function runBench(flags: BenchFlags): Promise<void> {
  checkRevisionFlag(flags);
  const draftTokens = draftTokensOf(flags);
  // What can be refused is, before hours are spent.
  const suites = suitesOf(flags);
  const samplings = samplingsOf(flags);
  checkOutputs({ "--save": flags.save, "--html": flags.html });
  const earlier = earlierOf(flags);

  const progress = await openProgress({ quiet: flags.quiet === true, color: flags.color });
  const interruption = onInterruption(() => progress.stop());
  const { signal } = interruption;
  try {
    const { pair: loaded, checkpoints } = await loadPair(flags, progress, signal);
    using pair = loaded;
    const plan = await makePlan(pair, {
      ...flags,
      suites,
      draftTokens: pair.drafter ? draftTokens : [],
      contexts: [...new Set(flags.context)],
      samplings,
      filler: fillerText(),
    });
    progress.say("measuring the memory");
    const about = { ...aboutMachine(), readBandwidth: await readBandwidth() };
    const report = await bench(pair, plan, {
      about,
      settings: settingsOf(flags, plan, checkpoints),
      bytes: stepBytes(checkpoints.target, checkpoints.assistant, flags.dtype && DTYPE_OF[flags.dtype]),
      ...(earlier ? { earlier } : {}),
      signal,
      onProgress: shown(progress, plan),
    });
    progress.stop();
    await tell(report, flags, progress);
    if (signal.aborted) process.exitCode = interruption.exitCode;
  } catch (error) {
    if (!(error instanceof MlxGemmaError && error.code === "aborted")) throw error;
    process.exitCode = interruption.exitCode;
  } finally {
    progress.stop();
  }
}

function earlierOf({ compare, maxTokens, tolerance }: BenchFlags) {
  if (compare === undefined) return undefined;
  const report = readReport(compare);
  checkComparable(compare, report, maxTokens);
  return { report, file: compare, tolerance };
}

/** Writes the report, and what is wrong to stderr with its exit code. */
async function tell(report: Report, flags: BenchFlags, progress: Progress): Promise<void> {
  const { stdout, stderr } = process;
  const columns = stdout.isTTY ? stdout.columns || 80 : Number.POSITIVE_INFINITY;
  // Files first: they are whole even if the reader of stdout has gone.
  if (flags.save !== undefined) writeOutput("--save", flags.save, `${JSON.stringify(report, null, 1)}\n`);
  if (flags.html !== undefined) {
    const { benchPage } = await import("../html/bench-page.js");
    writeOutput("--html", flags.html, benchPage(report));
  }
  const output = flags.json ? "json" : flags.output;
  await write(formatReport(report, output, colours(flags.color, stdout), columns));
  if (!report.complete && !report.difference) {
    progress.note("interrupted: the figures are of the repetitions that were whole");
  }
  const complaint = complaintOf(report);
  if (!complaint) return;
  stderr.write(`mlx-gemma: ${forTerminal(complaint.line)}\n`);
  process.exitCode = complaint.exitCode;
}

/** What makes a finished bench one that did not pass; undefined: nothing. */
export function complaintOf({ difference, verdict, comparison }: Report) {
  if (difference) return { exitCode: EXIT_OTHER, line: verdict.text };
  const figures = comparison?.figures ?? [];
  const regressions = figures.filter(({ finding }) => finding === "regression");
  const [one] = regressions;
  if (!one) return undefined;
  const change = `${one.figure} on ${one.suite} at K = ${one.draftTokens}: ${Math.round(100 * one.change)}%`;
  const line = `--compare: ${regressions.length} of ${figures.length} figures are lower by more than the tolerance, such as ${change}`;
  return { exitCode: EXIT_REGRESSION, line };
}

function draftTokensOf({ draft, draftTokens }: BenchFlags): readonly DraftTokens[] {
  if (draft !== "none") return draftTokens ?? BENCH_DEFAULTS.draftTokens;
  const drafting = draftTokens?.find((k) => k !== 0);
  if (drafting === undefined) return [];
  throw new MlxGemmaError(
    "usage",
    `--draft-tokens: ${drafting} needs a drafter, found --draft none; leave one of them out`,
  );
}

/** The suites that were named and the files that were given; the package's own where neither was. */
function suitesOf({ suite, prompts = [] }: BenchFlags): Suite[] {
  const names = suite ?? (prompts.length > 0 ? [] : BENCH_DEFAULTS.suites);
  const all = [...[...new Set(names)].map(openSuite), ...prompts.map(readPrompts)];
  const twice = all.find(({ name }, index) => all.findIndex((other) => other.name === name) < index);
  if (!twice) return all;
  throw new MlxGemmaError(
    "usage",
    `--prompts: expected suites of different names, found ${twice.name} twice; rename a file`,
  );
}

function samplingsOf({ sampling = [{ name: "greedy", options: {} }] }: BenchFlags): NamedSampling[] {
  const samplings = sampling.map(({ name, options }) => ({
    name,
    options: checkSampling({ ...GREEDY, ...options }),
  }));
  return samplings.filter(({ name }, index) => samplings.findIndex((other) => other.name === name) === index);
}

function fillerText(): string {
  return openSuite("long")
    .prompts.map((prompt) =>
      prompt.kind === "text" ? prompt.text : prompt.messages.map(({ content }) => content).join("\n"),
    )
    .join("\n");
}

async function loadPair(flags: BenchFlags, progress: Progress, signal: AbortSignal) {
  const bar = downloadBar(progress);
  try {
    const { revision, ...others } = flags;
    const { offline } = flags;
    const hub = { signal, onProgress: bar.on, ...(offline ? { offline } : {}) };
    const target = openTarget(await locateCheckpoint(flags.model, { ...hub, revision }));
    const pair = await openPair({ ...others, model: target.folder }, progress, signal);
    tellWarnings(pair.warnings, flags, progress);
    const folder = pair.drafter && (pair.assistant?.folder ?? (await locateCheckpoint(flags.draft, hub)));
    return {
      pair,
      checkpoints: { target, ...(folder === undefined ? {} : { assistant: openAssistant(folder) }) },
    };
  } finally {
    bar.stop();
  }
}

type Checkpoints = Awaited<ReturnType<typeof loadPair>>["checkpoints"];

function settingsOf(flags: BenchFlags, plan: Plan, { target, assistant }: Checkpoints): Report["settings"] {
  return {
    model: flags.model ?? "the embedded pair",
    assistant: assistant
      ? ["assistant", "auto"].includes(flags.draft)
        ? assistant.folder
        : flags.draft
      : null,
    dtype: flags.dtype ?? target.weights.dtype,
    threads: flags.threads,
    draftTokens: plan.draftTokens,
    suites: [...new Set(plan.groups.map(({ suite }) => suite))],
    contexts: [...new Set(flags.context)],
    samplings: [...new Set(plan.groups.map(({ sampling }) => sampling.name))],
    maxTokens: plan.maxTokens,
    repetitions: plan.repetitions,
  };
}

/** On a terminal what is going on, elsewhere a line for each repetition. */
function shown(progress: Progress, { repetitions }: Plan): (now: MeasureProgress) => void {
  let last = 0;
  return ({ job, done, secondsLeft }) => {
    const left = secondsLeft === undefined ? "" : `, ${duration(secondsLeft)} left`;
    if (job.repetition === 0) {
      progress.say(`warming up: ${job.group.suite}, K = ${job.draftTokens}`);
      return;
    }
    progress.say(
      `${Math.floor(100 * done)}%${left}: repetition ${job.repetition} of ${repetitions}, ${job.group.suite}, K = ${job.draftTokens}`,
    );
    if (!progress.live && job.repetition !== last) {
      progress.line(`repetition ${job.repetition} of ${repetitions}${left}`);
    }
    last = job.repetition;
  };
}
