// The models that peers are compared on: the embedded pair, and random pairs in the shapes of `shapes.mjs`.
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
} from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const EMBEDDED = fileURLToPath(new URL("../../models/tiny-gemma4/", import.meta.url));
const CHATS = new URL("../../training/eval/prompts-chat.json", import.meta.url);

/** Where models and peers are kept unless a run says otherwise. */
export const WORK = join(os.homedir(), ".cache", "mlx-gemma", "peers");

/**
 * `weights`: the forms in which a model is compared; `tokens` and `prompts` of a run, in full and with --quick; `reads`:
 * it was trained on text, so that it is asked in text.
 */
export const MODELS = {
  embedded: {
    title: "embedded pair",
    reads: true,
    weights: ["bf16", "f32"],
    tokens: [128, 16],
    prompts: [8, 1],
  },
  "208m": {
    title: "208 M pair, random weights",
    weights: ["bf16", "f32", "4bit"],
    tokens: [64, 8],
    prompts: [2, 1],
  },
  e2b: {
    title: "E2B's shape, random weights",
    weights: ["bf16", "4bit"],
    tokens: [24, 4],
    prompts: [1, 1],
  },
};

/** Folders `{ target, assistant }` of a model, made in `work` where they are not there yet. */
export async function modelFolders(name, work, tell) {
  if (name === "embedded") return pairIn(EMBEDDED);
  const folder = join(work, "models", name);
  if (!existsSync(folder)) {
    const { makeRandomPair, randomPairBytes } = await import("./random-pair.mjs");
    const need = randomPairBytes(name);
    checkRoom(work, need, `the random pair ${name}`);
    tell(`making the random pair ${name} (${(need / 1e9).toFixed(1)} GB)`);
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    makeRandomPair(name, unfinished);
    renameSync(unfinished, folder);
  }
  return pairIn(folder);
}

const pairIn = (folder) => ({ target: join(folder, "target"), assistant: join(folder, "assistant") });

/** @throws Error where a file system has too little room for what is to be made */
export function checkRoom(folder, bytes, what) {
  mkdirSync(folder, { recursive: true });
  const { bavail, bsize } = statfsSync(folder);
  if (bytes * 1.05 > bavail * bsize) {
    const gigabytes = (n) => `${(n / 1e9).toFixed(1)} GB`;
    throw new Error(`${what} needs ${gigabytes(bytes)}, ${folder} has ${gigabytes(bavail * bsize)} free`);
  }
}

/** What a target's weights weigh: all of them, and those that a step reads (of the per-layer table it reads a row). */
export function weightsOf(folder) {
  let all = 0;
  let perStep = 0;
  for (const { name, bytes } of tensorsIn(folder)) {
    all += bytes;
    if (!name.includes("embed_tokens_per_layer")) perStep += bytes;
  }
  return { all, perStep };
}

function* tensorsIn(folder) {
  for (const file of safetensorsIn(folder)) {
    for (const [name, { data_offsets: offsets }] of Object.entries(readHeader(file))) {
      if (name !== "__metadata__") yield { name, bytes: offsets[1] - offsets[0] };
    }
  }
}

function readHeader(path) {
  const file = openSync(path, "r");
  try {
    const length = Buffer.alloc(8);
    readSync(file, length, 0, 8, 0);
    const text = Buffer.alloc(Number(length.readBigUInt64LE()));
    readSync(file, text, 0, text.length, 8);
    return JSON.parse(text.toString("utf8"));
  } finally {
    closeSync(file);
  }
}

/** Milliseconds to read the weights of a folder once, as bytes, from wherever they are. */
export function readTime(folder) {
  const buffer = Buffer.alloc(8 * 1024 * 1024);
  const start = performance.now();
  for (const path of safetensorsIn(folder)) {
    const file = openSync(path, "r");
    while (readSync(file, buffer, 0, buffer.length, null) > 0);
    closeSync(file);
  }
  return performance.now() - start;
}

export function safetensorsIn(folder) {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".safetensors"))
    .map((file) => join(folder, file));
}

export function configOf(folder) {
  return JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
}

/** Prompts as text, for a model that can read. */
export function chatPrompts(count) {
  return JSON.parse(readFileSync(CHATS, "utf8"))
    .slice(0, count)
    .map(({ prompt }) => prompt);
}

/** `count` ids below `vocabulary`, the same ones for the same seed; the first is the beginning of a text. */
export function randomIds(count, vocabulary, seed) {
  let x = seed | 1;
  return Array.from({ length: count }, (_, i) => {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    // Past the special tokens, which a model may treat in its own way.
    return i === 0 ? 2 : 300 + ((x >>> 4) % (vocabulary - 300));
  });
}
