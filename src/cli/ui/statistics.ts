import type { ChalkInstance } from "chalk";
import type { StopReason } from "../../generate.js";
import type { GenerationStats } from "../../speculative/stats.js";
import { colours } from "./colour.js";
import type { ColourMode } from "./colour-mode.js";

const percent = (share: number) => `${Math.round(share * 100)}%`;

/** Time saved below which nothing was: within what the estimate can be wrong by. */
const PAYS = 1.05;

/** What the closing line says of an answer that did not end by itself. */
const ENDINGS: Readonly<Record<StopReason, string>> = {
  eos: "",
  "stop string": ", stop text",
  "max tokens": ", cut at --max-tokens",
  "context full": ", context full",
  aborted: ", interrupted",
};

/** What options say of statistics. */
export interface StatisticsFlags {
  readonly quiet?: true;
  readonly stats?: true;
  readonly json?: true;
  readonly color: ColourMode;
}

/** On stderr: the closing line on a terminal; all of it for `--stats`, wherever stderr goes. */
export function writeStatistics(
  { stats, stopReason }: { readonly stats: GenerationStats; readonly stopReason: StopReason },
  flags: StatisticsFlags,
): void {
  const { stderr } = process;
  if (flags.quiet || !(flags.stats || (stderr.isTTY && !flags.json))) return;
  const chalk = colours(flags.color, stderr);
  const columns = stderr.isTTY ? stderr.columns || 80 : Number.POSITIVE_INFINITY;
  stderr.write(`${statisticsLine(stats, stopReason, chalk, columns)}\n`);
  if (flags.stats) stderr.write(`${statisticsTable(stats, chalk, columns)}\n`);
}

/** The closing line: speed, and what drafting did for it. Broken into lines that fit `columns`. */
export function statisticsLine(
  stats: GenerationStats,
  stopReason: StopReason,
  chalk: ChalkInstance,
  columns: number,
): string {
  if (stats.tokens === 0) return chalk.dim("interrupted before the first token");
  const parts = [
    `${stats.tokens} ${stats.tokens === 1 ? "token" : "tokens"}${ENDINGS[stopReason]}`,
    // The first token comes with the prompt: alone it has no speed.
    ...(stats.tokens > 1 ? [`${stats.tokensPerSecond.toFixed(1)} tok/s`] : []),
    `prompt ${stats.promptTokensPerSecond.toFixed(0)} tok/s`,
    ...(stats.cachedPromptTokens > 0 ? [`${stats.cachedPromptTokens} of ${stats.promptTokens} kept`] : []),
  ];
  if (stats.draftTokens !== 0) {
    parts.push(
      `${stats.tokensPerStep.toFixed(2)} tokens a step`,
      `${percent(stats.acceptanceRate)} of drafts accepted`,
      `exact: ${stats.exact}`,
    );
  } else {
    parts.push("no drafting");
  }
  parts.push(...savingOf(stats));
  return wrap(parts, " · ", columns)
    .map((line) => chalk.dim(line))
    .join("\n");
}

/** What auto saved, or why it could not; nothing where it was not measured. */
export function savingOf({
  adaptive,
  proposed,
  acceptanceRate,
  acceptanceByPosition,
  roundsByDraftTokens,
}: GenerationStats): string[] {
  if (!adaptive || adaptive.speedUp === null) return [];
  const { speedUp, msByDraftTokens: ms } = adaptive;
  const [plain] = ms;
  if (speedUp >= PAYS) return [`${speedUp.toFixed(1)}x against plain: measured from this run's own probes`];
  // Of the K that drafted most: its cost and the acceptance at which it would pay.
  const tried = roundsByDraftTokens.map((rounds, k) => (k > 0 && typeof ms[k] === "number" ? rounds : 0));
  const k = tried.indexOf(Math.max(...tried));
  const round = ms[k];
  if (proposed === 0 || k < 1 || !plain || !round) return [];
  const cost = round / plain;
  const needed = (cost - 1) / k;
  const found = k === 1 ? (acceptanceByPosition[0] ?? 0) : acceptanceRate;
  const kept = `drafting does not pay here: a round of ${k} ${k === 1 ? "draft" : "drafts"} takes as long as ${cost.toFixed(1)} plain steps`;
  return needed >= 1
    ? [`${kept}, more than it can give`]
    : [`${kept} and pays from ${percent(needed)} acceptance, found ${percent(found)}`];
}

/** `--stats`: the account in full. */
export function statisticsTable(stats: GenerationStats, chalk: ChalkInstance, columns: number): string {
  const { times } = stats;
  const milliseconds = (["draft", "verify", "accept", "rest"] as const).map(
    (part) => `${part} ${times[part].toFixed(0)} ms`,
  );
  const rows: readonly (readonly [string, readonly string[]])[] = [
    [
      "prompt",
      [
        `${stats.promptTokens} tokens`,
        ...(stats.cachedPromptTokens > 0 ? [`${stats.cachedPromptTokens} of them kept`] : []),
      ],
    ],
    ["time to first token", [`${stats.timeToFirstTokenMs.toFixed(1)} ms`]],
    ["target steps", [String(stats.targetSteps)]],
    ["drafts accepted", [`${stats.accepted} of ${stats.proposed}`]],
    ["accepted by place", [stats.acceptanceByPosition.map(percent).join(" ") || "-"]],
    ...(stats.adaptive
      ? [
          [
            "rounds by drafts",
            stats.roundsByDraftTokens.flatMap((n, k) => (n > 0 ? [`${k}: ${n}`] : [])),
          ] as const,
        ]
      : []),
    ["time of decoding", milliseconds],
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows
    .flatMap(([name, values]) => {
      // Too narrow for two columns: the value stands below its name.
      const beside = columns - width >= 24;
      const lines = wrap(values, ", ", beside ? columns - width : columns - 2);
      if (!beside) return [chalk.dim(name), ...lines.map((line) => `  ${line}`)];
      return lines.map((line, index) => chalk.dim((index === 0 ? name : "").padEnd(width)) + line);
    })
    .join("\n");
}

/** Joins parts into lines of at most `columns`; a part that is longer is broken between words. */
function wrap(parts: readonly string[], separator: string, columns: number): string[] {
  const lines: string[] = [];
  const add = (text: string, glue: string) => {
    const last = lines.at(-1);
    if (last !== undefined && last.length + glue.length + text.length <= columns) {
      lines[lines.length - 1] = last + glue + text;
      return;
    }
    const [word = "", ...rest] = text.length > columns ? text.split(" ") : [text];
    lines.push(word);
    for (const next of rest) add(next, " ");
  };
  for (const part of parts) add(part, separator);
  return lines;
}
