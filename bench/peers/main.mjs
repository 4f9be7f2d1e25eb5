#!/usr/bin/env node
// mlx-gemma beside transformers, mlx-vlm and llama.cpp: the same weights, prompts and token counts, in turn, in one run.
// docs/peers.md says what is measured how.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { bandwidthMeter } from "../lib/bandwidth.mjs";
import { physicalCores } from "../lib/cores.mjs";
import { saveRows } from "../lib/save-rows.mjs";
import { machine } from "../machine.mjs";
import { instructionSet } from "./instruction-set.mjs";
import { llamaBench } from "./llama-bench.mjs";
import { MODELS, WORK } from "./models.mjs";
import { markdown, plot, printed } from "./report.mjs";
import { IMPLEMENTATIONS, runVariant } from "./run-variant.mjs";
import { peerVersions, setUpLlama, setUpPython } from "./setup.mjs";

const FORMS = ["bf16", "f32", "4bit"];
const DOCS = new URL("../../docs/peers.md", import.meta.url);
const [BEGIN, END] = ["<!-- figures: begin -->", "<!-- figures: end -->"];

const USAGE = `Usage: npm run bench:peers -- [options]

  --models LIST       of ${Object.keys(MODELS).join(",")} (default: all)
  --weights LIST      of ${FORMS.join(",")} (default: all)
  --only LIST         of ${IMPLEMENTATIONS.join(",")} (default: all)
  --repetitions N     counted ones; one more warms up (default: 5)
  --threads N         default: physical cores
  --quick             one repetition, a few tokens: does everything work?
  --work DIR          where peers and models are kept (default: ${WORK})
  --python PATH       a Python that has the peers' packages
  --write-docs        tables into docs/peers.md
  --no-save           no rows, no plot
`;

const OPTIONS = {
  models: { type: "string", default: Object.keys(MODELS).join(",") },
  weights: { type: "string", default: FORMS.join(",") },
  only: { type: "string", default: IMPLEMENTATIONS.join(",") },
  repetitions: { type: "string" },
  threads: { type: "string" },
  quick: { type: "boolean", default: false },
  work: { type: "string", default: WORK },
  python: { type: "string" },
  "write-docs": { type: "boolean", default: false },
  "no-save": { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
};

const listOf = (flags, flag, known) => {
  const chosen = flags[flag].split(",");
  const stranger = chosen.find((item) => !known.includes(item));
  if (stranger !== undefined) throw new Error(`--${flag}: no ${stranger}; there are ${known.join(", ")}`);
  return known.filter((item) => chosen.includes(item));
};
const count = (flags, flag, fallback) => {
  const value = Number(flags[flag] ?? fallback);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${flag} must be a whole number of at least 1`);
  return value;
};
const tell = (line) => process.stderr.write(`${line}\n`);

try {
  process.exitCode = await main();
} catch (error) {
  tell(`bench:peers: ${error.message}`);
  process.exitCode = 2;
}

async function main() {
  const { values: flags } = parseArgs({ options: OPTIONS });
  if (flags.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const only = listOf(flags, "only", IMPLEMENTATIONS);
  const models = listOf(flags, "models", Object.keys(MODELS));
  const forms = listOf(flags, "weights", FORMS);
  const threads = count(flags, "threads", physicalCores());
  const work = flags.work;
  const isa = instructionSet();
  mkdirSync(work, { recursive: true });
  const context = {
    ...{ work, threads, only, tell, quick: flags.quick, env: isa.env },
    repetitions: count(flags, "repetitions", flags.quick ? 1 : 5),
    bandwidth: bandwidthMeter(join(work, "tools"), threads),
    ...(await setUp(only, { work, threads, isa, tell, python: flags.python })),
  };
  const about = {
    ...machine(),
    peers: await peerVersions(context.python),
    ...{ instructionSet: isa.name, threads, repetitions: context.repetitions, quick: flags.quick, only },
  };
  const variants = [];
  for (const model of models) {
    for (const weights of forms.filter((form) => MODELS[model].weights.includes(form))) {
      const variant = { model, weights, ...(await runVariant(model, weights, context)) };
      variant.llamaBench = await llamaBench(model, weights, context);
      variants.push(variant);
      process.stdout.write(`${printed(variant)}\n`);
    }
  }
  if (!flags["no-save"]) save(about, variants);
  if (flags["write-docs"]) writeDocs(about, variants);
  return broken(variants);
}

/** What can't be set up is missing in the tables, with its reason. */
async function setUp(only, options) {
  const attempt = async (what, make) => {
    try {
      return await make();
    } catch (error) {
      tell(`${what} can't be set up: ${error.message}`);
      return undefined;
    }
  };
  const peers = only.filter((name) => name !== IMPLEMENTATIONS[0]);
  const python = peers.length > 0 ? await attempt("Python", () => setUpPython(options)) : undefined;
  const llama =
    python && only.includes("llama.cpp")
      ? await attempt("llama.cpp", () => setUpLlama({ ...options, python }))
      : undefined;
  return { python, llama };
}

function save(about, variants) {
  const rows = variants.flatMap(({ rows, notes, ids, model, weights, llamaBench }) => [
    ...rows,
    { model, weights, measure: "ids", ...ids },
    ...notes.map((note) => ({ model, weights, note })),
    ...(llamaBench ? [{ model, weights, note: llamaBench }] : []),
  ]);
  const path = saveRows("peers", about, rows);
  writeFileSync(`${path}.svg`, plot(variants, `Tokens a second, greedy: ${aboutInWords(about)}`));
  tell(`rows and plot: bench/results/${basename(path)}.jsonl, .svg`);
}

function aboutInWords({ date, commit, cpu, threads, kernels }) {
  return `${date.slice(0, 10)}, ${commit}, ${cpu}, ${threads} threads, kernels ${kernels}`;
}

function writeDocs(about, variants) {
  const text = readFileSync(DOCS, "utf8");
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/peers.md has no lines ${BEGIN} and ${END}`);
  const peers = Object.entries(about.peers).map(([name, version]) => `${name} ${version}`);
  const file = `peers-${about.date.slice(0, 10)}-${about.commit}`;
  const head = `${aboutInWords(about)}; medians of ${about.repetitions} repetitions${about.quick ? " (--quick: NOT figures to quote)" : ""}; ${peers.join(", ")}. Rows: \`bench/results/${file}.jsonl\`, plot: \`bench/results/${file}.svg\`.`;
  const figures = [head, "", ...variants.map(markdown)].join("\n");
  writeFileSync(DOCS, `${text.slice(0, begin + BEGIN.length)}\n\n${figures}\n${text.slice(end)}`);
}

/** 1 where our own drafted text is not our plain text, or we ourselves failed. */
function broken(variants) {
  const ours = IMPLEMENTATIONS[0];
  let code = 0;
  for (const { model, weights, ids, notes } of variants) {
    const own = ids[ours]?.drafted;
    if (own && own.equal < own.of) {
      tell(`${model} ${weights}: our drafted ids are not our plain ones`);
      code = 1;
    }
    if (notes.some((note) => note.startsWith(`${ours}:`))) code = 1;
  }
  return code;
}
