import type { ChalkInstance } from "chalk";
import type { GenerationStats } from "../../speculative/stats.js";

const percent = (share: number) => `${Math.round(share * 100)}%`;

/** The closing line: speed, and what drafting did for it. Cut into lines that fit `columns`. */
export function statisticsLine(stats: GenerationStats, chalk: ChalkInstance, columns: number): string {
  const parts = [
    `${stats.tokens} tokens`,
    `${stats.tokensPerSecond.toFixed(1)} tok/s`,
    `prompt ${stats.promptTokensPerSecond.toFixed(0)} tok/s`,
  ];
  if (stats.draftTokens > 0) {
    parts.push(
      `${stats.tokensPerStep.toFixed(2)} tokens a step`,
      `${percent(stats.acceptanceRate)} of drafts accepted`,
      `exact: ${stats.exact}`,
    );
  } else {
    parts.push("no drafting");
  }
  return wrap(parts, columns)
    .map((line) => chalk.dim(line))
    .join("\n");
}

/** `--stats`: the account in full. */
export function statisticsTable(stats: GenerationStats, chalk: ChalkInstance): string {
  const { times } = stats;
  const rows: [string, string][] = [
    ["time to first token", `${stats.timeToFirstTokenMs.toFixed(1)} ms`],
    ["target steps", String(stats.targetSteps)],
    ["drafts accepted", `${stats.accepted} of ${stats.proposed}`],
    ["by place in the draft", stats.acceptanceByPosition.map(percent).join(" ") || "-"],
    [
      "time of decoding",
      `draft ${times.draft.toFixed(0)} ms, verify ${times.verify.toFixed(0)} ms, ` +
        `accept ${times.accept.toFixed(0)} ms, rest ${times.rest.toFixed(0)} ms`,
    ],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${chalk.dim(name.padEnd(width))}  ${value}`).join("\n");
}

function wrap(parts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 3 + part.length <= columns)
      lines[lines.length - 1] = `${last} · ${part}`;
    else lines.push(part);
  }
  return lines;
}
