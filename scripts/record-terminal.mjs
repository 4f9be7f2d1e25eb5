#!/usr/bin/env node
// Records `mlx-gemma generate` on a terminal, plain and drafted, as one animated picture: docs/images/terminal.svg. Every
// letter comes when it came, on a clock that begins with the first and goes SLOWER times as slow. Of RUNS, in which both
// commands run one after the other, the quickest as a whole: for a machine that others use too. Needs python3.
// `npm run docs:images` runs it.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import xterm from "@xterm/headless";
import { html, Markup } from "../dist/cli/html/markup.js";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

const COLUMNS = 100;
const ROWS = 40;
const SLOWER = 10;
const RUNS = 5;
/** Pixels. */
const LETTER = 8.4;
const LINE = 18;
const MARGIN = 14;

const PROMPT = "Tell me a story about a fox.";
const ASSISTANT = ["--draft", "assistant"];
const COMMANDS = [
  ["generate", PROMPT],
  ["generate", ...ASSISTANT, "--show-drafts", PROMPT],
];

const runs = Array.from({ length: RUNS }, () => COMMANDS.map(record));
const total = (run) => run.reduce((sum, pieces) => sum + duration(pieces), 0);
const [quickest] = runs.sort((a, b) => total(a) - total(b));
const recordings = [];
for (const pieces of quickest) recordings.push(await letters(pieces));
mkdirSync(at("docs/images"), { recursive: true });
writeFileSync(at("docs/images/terminal.svg"), picture(recordings));

/** What the command wrote, in pieces with the seconds at which they came. */
function record(args) {
  const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...env } = process.env;
  const job = {
    argv: [process.execPath, at("bin/mlx-gemma.js"), ...args],
    env: { ...env, TERM: "xterm-256color" },
    columns: COLUMNS,
    rows: ROWS,
    keys: [],
    stdout: "terminal",
    limit: 120,
  };
  const { stdout } = spawnSync("python3", [at("test/cli/terminal.py")], {
    cwd: at("."),
    input: JSON.stringify(job),
    encoding: "utf8",
    stdio: ["pipe", "pipe", "inherit"],
  });
  const { code, output, arrivals } = JSON.parse(stdout);
  if (code !== 0) throw new Error(`mlx-gemma ${args.join(" ")}: exit code ${code}\n${output}`);
  const bytes = Buffer.from(output);
  return arrivals.map(([seconds, end], index) => ({
    seconds,
    bytes: bytes.subarray(arrivals[index - 1]?.[1] ?? 0, end),
  }));
}

/** Seconds from the first of the answer to the last. */
function duration(pieces) {
  const shown = pieces.filter(({ bytes }) => /\p{L}/u.test(stripVTControlCharacters(bytes.toString())));
  return shown.at(-1).seconds - shown[0].seconds;
}

/** The screen's last state as lines of letters, each with its style and when it came. */
async function letters(pieces) {
  const terminal = new xterm.Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true });
  const lines = Array.from({ length: ROWS }, () => Array(COLUMNS).fill(undefined));
  for (const { seconds, bytes } of pieces) {
    await new Promise((resolve) => terminal.write(bytes, resolve));
    for (const [y, line] of lines.entries()) {
      for (let x = 0; x < COLUMNS; x++) {
        const cell = terminal.buffer.active.getLine(y)?.getCell(x);
        const letter = cell?.getChars() || " ";
        const style = cell?.isDim()
          ? "dim"
          : cell?.isFgPalette() && cell.getFgColor() === 2
            ? "green"
            : "plain";
        if (line[x]?.letter !== letter || line[x]?.style !== style) line[x] = { letter, style, seconds };
      }
    }
  }
  const written = lines.findLastIndex((line) => line.some(({ letter }) => letter !== " "));
  return lines.slice(0, written + 1);
}

function picture(recordings) {
  let y = MARGIN;
  const parts = recordings.flatMap((lines, index) => {
    const first = Math.min(
      ...lines.flat().flatMap(({ letter, seconds }) => (letter === " " ? [] : [seconds])),
    );
    y += LINE;
    const command = `$ mlx-gemma ${COMMANDS[index].map((word) => (word.includes(" ") ? `"${word}"` : word)).join(" ")}`;
    const title = html`<text x="${MARGIN}" y="${y}" class="command">${command}</text>\n`;
    const rows = lines.map((line) => {
      y += LINE;
      return runsOf(line).map((run) => textOf(run, y, first));
    });
    y += LINE;
    return [title, rows];
  });
  const width = Math.ceil(2 * MARGIN + COLUMNS * LETTER);
  const note = `${SLOWER} times as slow as it was; green: accepted drafts`;
  return html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + LINE}" width="${width}" height="${y + LINE}" role="img" aria-label="mlx-gemma generate on a terminal, plain and drafted">
<style>
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d8dee6; white-space: pre; }
.green { fill: #6fdc8c; } .dim, .note { fill: #95a1ae; } .command { fill: #8ec5ff; }
.late { animation: come 1ms linear both; }
@keyframes come { from { opacity: 0; } to { opacity: 1; } }
@media (prefers-reduced-motion: reduce) { .late { animation: none; } }
</style>
<rect width="100%" height="100%" rx="8" fill="#12161b"/>
${parts}<text x="${MARGIN}" y="${y}" class="note">${note}</text>
</svg>
`.source;
}

/** Letters of a line that came together, in one style. */
function runsOf(line) {
  const runs = [];
  for (const [x, { letter, style, seconds }] of line.entries()) {
    const last = runs.at(-1);
    if (last?.style === style && last.seconds === seconds) last.text += letter;
    else runs.push({ x, text: letter, style, seconds });
  }
  return runs.filter(({ text }) => text.trim() !== "");
}

function textOf({ x, text, style, seconds }, y, first) {
  const words = text.trimEnd();
  const delay = ((seconds - first) * SLOWER).toFixed(2);
  const place = `x="${(MARGIN + x * LETTER).toFixed(1)}" y="${y}" textLength="${(words.length * LETTER).toFixed(1)}"`;
  return html`<text ${new Markup(place)} class="late ${style}" style="animation-delay:${delay}s">${words}</text>\n`;
}
