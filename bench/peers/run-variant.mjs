// One model in one form: every implementation through the same measures, repetition by repetition, in turn.
import { fileURLToPath } from "node:url";
import { availableMemory } from "../lib/cores.mjs";
import { checkpointFor } from "./checkpoints.mjs";
import { compareIds } from "./compare-ids.mjs";
import { CONTEXT_LENGTH, LONGEST_PROMPT, MEASURES } from "./measures.mjs";
import { chatPrompts, configOf, MODELS, modelFolders, randomIds, readTime, weightsOf } from "./models.mjs";
import { Peer } from "./peer.mjs";

export const IMPLEMENTATIONS = ["mlx-gemma", "transformers", "mlx-vlm", "llama.cpp"];
const OURS = IMPLEMENTATIONS[0];

/** What a loaded model takes beside its weights. */
const BASE_BYTES = 1e9;
/** Threads of a peer that has just been measured go to sleep meanwhile. */
const PAUSE_MS = 150;
/** Tokens of the prompts of models that can't read. */
const PROMPT = 64;

const script = (path) => fileURLToPath(new URL(path, import.meta.url));

function commandOf(implementation, { python, llama }) {
  switch (implementation) {
    case OURS:
      return [process.execPath, script("ours.mjs")];
    case "transformers":
      return [python, script("python/transformers_peer.py")];
    case "mlx-vlm":
      return [python, script("python/mlx_vlm_peer.py")];
    default:
      return [llama.program("llama-peer")];
  }
}

/**
 * @param context `{ work, python, llama, threads, only, repetitions, quick, bandwidth, tell }`
 * @returns `{ rows, notes, ids }`: figures, what failed or could not be compared, and how ids compare
 */
export async function runVariant(name, weights, context) {
  const notes = [];
  const rows = [];
  const note = (implementation, what) => {
    notes.push(`${implementation}: ${what}`);
    context.tell(`${name} ${weights}, ${implementation}: ${what}`);
  };
  let folders;
  try {
    folders = await modelFolders(name, context.work, context.tell);
  } catch (error) {
    for (const implementation of context.only) note(implementation, `not measured: ${error.message}`);
    return { rows, notes, ids: {} };
  }
  const runners = [];
  for (const implementation of context.only) {
    try {
      if (implementation !== OURS && !context.python)
        throw new Error("there is no Python environment for it");
      if (implementation === "llama.cpp" && !context.llama) throw new Error("it could not be built");
      const checkpoint = await checkpointFor(implementation, name, weights, context);
      runners.push(new Runner(implementation, checkpoint, context));
    } catch (error) {
      note(implementation, `not measured: ${error.message}`);
    }
  }
  const inputs = { model: MODELS[name], folders };
  const reads = whatIsRead(runners.find((runner) => runner.name === OURS)?.checkpoint ?? folders, weights);
  const need = (runner) => runner.checkpoint.bytes + BASE_BYTES;
  const room = availableMemory() * 0.9;
  const fitting = runners.filter((runner) => {
    if (need(runner) < room) return true;
    note(
      runner.name,
      `not measured: needs ${gigabytes(need(runner))} of memory, ${gigabytes(room)} are there`,
    );
    return false;
  });
  // All at once where they fit, so that a repetition's figures are seconds apart; otherwise each is loaded for its turn.
  const together = fitting.reduce((sum, runner) => sum + need(runner), 0) < room;
  const add = (runner, repetition, row) =>
    rows.push({ model: name, weights, implementation: runner.name, repetition, ...row });
  const texts = {};
  const alive = () => fitting.filter((runner) => !runner.failed);
  try {
    for (let repetition = 0; repetition <= context.repetitions; repetition++) {
      const order = rotated(alive(), repetition);
      const facts = { bandwidth: context.bandwidth(), ...reads() };
      if (repetition > 0) rows.push({ model: name, weights, repetition, measure: "machine", ...facts });
      const turns = together ? [undefined, ...MEASURES].map((measure) => [order, [measure]]) : [];
      const alone = together ? [] : order.map((runner) => [[runner], [undefined, ...MEASURES]]);
      for (const [turn, measures] of [...turns, ...alone]) {
        for (const runner of turn) {
          for (const measure of measures) {
            if (runner.failed) continue;
            await pause(PAUSE_MS);
            try {
              const found = measure
                ? await measure.run(runner.peer, await inputsOf(inputs, runner, context))
                : [{ measure: "loadMs", value: (await runner.load()).ms }];
              for (const { ids, ...row } of found) {
                if (ids) keepIds(texts, runner.name, row.measure, ids, note);
                // Repetition 0 warms up caches and clocks.
                if (repetition > 0 && Number.isFinite(row.value)) add(runner, repetition, row);
              }
            } catch (error) {
              runner.failed = measure === undefined || runner.peer.gone !== undefined;
              if (!runner.told.has(measure?.name))
                note(runner.name, `${measure?.name ?? "load"}: ${error.message}`);
              runner.told.add(measure?.name);
            }
          }
          if (!together) await runner.close();
        }
      }
      context.tell(`${name} ${weights}: repetition ${repetition} of ${context.repetitions} done`);
    }
    return { rows, notes, ids: await compared(texts, fitting, inputs) };
  } finally {
    for (const runner of fitting) await runner.close();
  }
}

/** A function that measures reading the files of a pair once; beside it the bytes that a step reads. */
function whatIsRead({ target, assistant }, weights, packed) {
  const { perStep: stored } = weightsOf(target);
  // f32 is cast at load; packed weights are known by our checkpoint alone.
  const perStep = weights === "4bit" && !packed ? undefined : stored * (weights === "f32" ? 2 : 1);
  return () => ({ perStep, readMs: readTime(target) + readTime(assistant) });
}

/** An implementation's process and what it reads. */
class Runner {
  failed = false;
  told = new Set();
  peer = undefined;

  constructor(name, checkpoint, context) {
    Object.assign(this, { name, checkpoint, context });
  }

  load() {
    this.peer ??= new Peer(this.name, commandOf(this.name, this.context), { env: this.context.env });
    const { target, assistant, dtype } = this.checkpoint;
    const { threads } = this.context;
    return this.peer.ask({ op: "load", target, assistant, dtype, threads, contextLength: CONTEXT_LENGTH });
  }

  async close() {
    await this.peer?.close();
    this.peer = undefined;
  }
}

/** Prompts and lengths; chat prompts are encoded by us, and everyone gets the ids. */
async function inputsOf(inputs, runner, { quick, work, tell, ...context }) {
  if (inputs.ready) return inputs.ready;
  const { model, folders } = inputs;
  const [at, { vocab_size: vocabulary }] = [quick ? 1 : 0, configOf(folders.target)];
  const count = model.prompts[at];
  const prompts = model.reads
    ? await encoded(chatPrompts(count), runner, folders, context)
    : Array.from({ length: count }, (_, i) => randomIds(PROMPT, vocabulary, i + 2));
  inputs.ready = {
    prompts,
    tokens: model.tokens[at],
    long: randomIds(LONGEST_PROMPT, vocabulary, 1),
    repeat: quick ? 3 : 10,
  };
  return inputs.ready;
}

async function encoded(texts, runner, folders, context) {
  const ours = runner.name === OURS ? runner.peer : new Peer(OURS, commandOf(OURS, context));
  try {
    if (ours !== runner.peer)
      await ours.ask({ op: "load", target: folders.target, dtype: "bf16", threads: 1 });
    return (await ours.ask({ op: "encode", prompts: texts })).prompts;
  } finally {
    if (ours !== runner.peer) await ours.close();
  }
}

function keepIds(texts, implementation, measure, ids, note) {
  texts[implementation] ??= {};
  const before = texts[implementation][measure];
  if (before && JSON.stringify(before) !== JSON.stringify(ids)) {
    note(implementation, `${measure}: other ids than in the repetition before`);
  }
  texts[implementation][measure] = ids;
}

/** Everyone's plain ids against ours, and drafted ids against plain ones of the same implementation. */
async function compared(texts, runners, inputs) {
  const ours = runners.find((runner) => runner.name === OURS);
  const own = texts[OURS]?.plainTokensPerSecond;
  const result = {};
  if (ours && !ours.failed && !ours.peer) await ours.load();
  const marginAt = async (prompt, ids) =>
    ours.peer.ask({ op: "margin", prompt: [...inputs.ready.prompts[prompt], ...ids] });
  for (const [name, { plainTokensPerSecond: plain, draftedTokensPerSecond: drafted }] of Object.entries(
    texts,
  )) {
    result[name] = {
      ...(plain && own && name !== OURS ? { plain: await compareIds(plain, own, marginAt) } : {}),
      ...(plain && drafted ? { drafted: await compareIds(drafted, plain) } : {}),
    };
  }
  return result;
}

const rotated = (list, by) => list.map((_, i) => list[(i + by) % list.length]);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;
