import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { quantize } from "../../../src/quantize/quantize.js";
import { FakeHub } from "../../checkpoint/hub/fake-hub.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const BIN = join(ROOT, "bin", "mlx-gemma.js");
const ASSISTANT = join(ROOT, "test", "golden", "dense-k-eq-v", "assistant");

export interface Command {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** A command that writes files, and what must hold of them at any time. */
export interface Scenario {
  /** Fills an empty folder. @param variant another one each time */
  prepare(folder: string, variant: number): Promise<void> | void;
  command(folder: string): Command;
  /**
   * After a run that ended in whatever way.
   *
   * @param said on stdout and stderr
   * @param done it was not killed
   * @throws Error for a half file, a lost one, or one that was said to be saved and is not there
   */
  check(folder: string, said: string, done: boolean): void;
  /** After a run that was left to end: nothing of the killed ones is there. */
  healed(folder: string): void;
  close?(): Promise<void>;
}

/** What is killed, by name. `in-place` writes as it should not be done, and must be found. */
export const SCENARIOS: Readonly<Record<string, () => Promise<Scenario> | Scenario>> = {
  pull,
  quantize: quantizing,
  chat,
  bench: () =>
    pages({
      command: ["bench", "--prompts", "../prompts.jsonl", "--draft", "none", "-n", "4", "--repetitions", "1"],
      json: "--save",
      said: /tok\/s/,
    }),
  generate: () =>
    pages({ command: ["generate", "-n", "8", "--draft", "assistant", "Hello"], json: "--trace" }),
  "in-place": () =>
    pages({
      script: `fs.writeFileSync("out.json", JSON.stringify({ made: "new", rest: "x".repeat(1e6) }));`,
    }),
};

const EARLIER = { "out.json": '{"made":"earlier"}', "out.html": "<html>earlier</html>\n" };

interface Pages {
  readonly command?: readonly string[];
  /** In place of our command. */
  readonly script?: string;
  /** The option that writes out.json; --html writes out.html. */
  readonly json?: string;
  /** What the command says when its files are there. */
  readonly said?: RegExp;
}

/** A JSON file and a page of it, over earlier ones in every second trial. */
function pages({ command = [], script, json = "", said }: Pages): Scenario {
  let earlier: Readonly<Record<string, string>> = {};
  const files = script === undefined ? ["out.html", "out.json"] : ["out.json"];
  const isNew: Readonly<Record<string, (text: string) => boolean>> = {
    "out.json": (text) => text !== EARLIER["out.json"] && typeof JSON.parse(text) === "object",
    "out.html": (text) => text !== EARLIER["out.html"] && /^<!doctype html>[\s\S]*<\/html>\s*$/i.test(text),
  };
  return {
    prepare(folder, variant) {
      earlier = variant % 2 === 0 ? EARLIER : {};
      for (const [name, text] of Object.entries(earlier)) {
        if (files.includes(name)) writeFileSync(join(folder, name), text);
      }
      writeFileSync(join(folder, "prompts.jsonl"), '"Hello"\n');
    },
    command: () => ({
      args:
        script === undefined
          ? [BIN, ...command.map((word) => word.replace("../", "")), json, "out.json", "--html", "out.html"]
          : ["--input-type=module", "-e", `import fs from "node:fs"; ${script}`],
    }),
    check(folder, text, done) {
      for (const name of files) {
        const found = textOf(join(folder, name));
        if ((done || said?.test(text)) && !(found !== undefined && isNew[name]?.(found))) {
          throw new Error(`${name} was said to be written, and is not`);
        }
        if (found !== earlier[name] && !(found !== undefined && safely(() => isNew[name]?.(found)))) {
          throw new Error(`${name}: neither as before nor whole: ${found?.length ?? "no"} characters`);
        }
        // What is there now may not get lost again.
        if (found !== undefined) earlier = { ...earlier, [name]: found };
      }
    },
    healed: (folder) => holdsOnly(folder, [...files, "prompts.jsonl"]),
  };
}

/** A conversation that is saved, goes on, and is saved again, and under another name, too. */
function chat(): Scenario {
  const promised = new Map<string, number>();
  return {
    prepare: () => promised.clear(),
    command(folder) {
      const begin = existsSync(join(folder, "a.json"))
        ? ["/load a.json", "Hi", "/save"]
        : ["Hi", "/save a.json"];
      const other = existsSync(join(folder, "b.json"))
        ? ["/load b.json", "Hi", "/save"]
        : ["Hi", "/save b.json"];
      return { args: [BIN, "chat", "-n", "2"], input: `${[...begin, "Hi", "/save", ...other].join("\n")}\n` };
    },
    check(folder, said) {
      for (const name of ["a.json", "b.json"]) {
        const text = textOf(join(folder, name));
        const messages: unknown[] = text === undefined ? [] : JSON.parse(text).messages;
        const least = promised.get(name) ?? 0;
        const saves = said.split(`saved: ${name}`).length - 1;
        if (messages.length < least || (saves > 0 && messages.length < Math.max(least + 1, 2 * saves))) {
          throw new Error(
            `${name}: ${messages.length} messages, ${least} before and ${saves} times said to be saved`,
          );
        }
        promised.set(name, messages.length);
      }
    },
    healed: (folder) => holdsOnly(folder, ["a.json", "b.json"]),
  };
}

/** A small assistant in 4 bits, over an earlier one of 8 bits in every second trial. */
async function quantizing(): Promise<Scenario> {
  const made = mkdtempSync(join(tmpdir(), "mlx-gemma-kills-made-"));
  const variants = new Map<string, string>();
  for (const bits of [4, 8] as const) {
    const output = join(made, `bits-${bits}`, "out");
    await quantize({ model: ASSISTANT, groupSize: 32, bits, output });
    variants.set(digestOf(output), String(bits));
  }
  let least = "";
  const bitsOf = (folder: string) =>
    existsSync(folder) ? (variants.get(digestOf(folder)) ?? "half") : "none";
  return {
    prepare(folder, variant) {
      least = variant % 2 === 0 ? "8" : "none";
      if (least === "8") cpSync(join(made, "bits-8", "out"), join(folder, "out"), { recursive: true });
    },
    command: () => ({
      args: [
        BIN,
        "quantize",
        "--model",
        ASSISTANT,
        "--group-size",
        "32",
        "--bits",
        "4",
        "--force",
        "-o",
        "out",
      ],
    }),
    check(folder, said, done) {
      const found = bitsOf(join(folder, "out"));
      // Between the two renames of --force the earlier one stands aside, whole.
      const aside = readdirSync(folder)
        .filter((name) => name.endsWith("-replaced"))
        .map((name) => bitsOf(join(folder, name)));
      if (found === "half") throw new Error("out: a folder that is not whole");
      if ((done || /bits per weight/.test(said)) && found !== "4")
        throw new Error("out was said to be there, and is not");
      if (found === "none" && least !== "none" && !aside.includes(least))
        throw new Error("out: the earlier one is lost");
      if (found !== "none") least = found;
    },
    healed: (folder) => holdsOnly(folder, ["out"]),
    close: async () => rmSync(made, { recursive: true, force: true }),
  };
}

/** A repository of a fake hub, whose weights come in pieces. */
async function pull(): Promise<Scenario> {
  const hub = await FakeHub.start();
  const weights = Buffer.alloc(300_000, "0123456789abcdefghijklmnopqrstuvw");
  const files: Readonly<Record<string, string | Buffer>> = {
    "config.json": '{"model_type":"gemma4_text"}',
    "generation_config.json": "{}",
    "tokenizer.json": '{"model":{}}',
    "tokenizer_config.json": '{"a":1}',
    "model.safetensors": weights,
  };
  const commit = hub.add("org/gemma", files);
  const snapshot = (folder: string) => join(folder, "cache", "models--org--gemma", "snapshots", commit);
  let whole: readonly string[] | undefined;
  return {
    prepare: () => {},
    command: (folder) => ({
      args: [BIN, "pull", "org/gemma"],
      env: {
        HF_ENDPOINT: hub.endpoint,
        HF_HUB_CACHE: join(folder, "cache"),
        HF_TOKEN: "",
        HF_HUB_OFFLINE: "",
      },
    }),
    check(folder, said, done) {
      const repo = join(folder, "cache", "models--org--gemma");
      for (const name of namesIn(join(repo, "blobs"))) {
        if (name.includes(".mlx-gemma.") || name.endsWith(".incomplete")) continue;
        const bytes = readFileSync(join(repo, "blobs", name));
        if (
          ![
            hashed("sha256", bytes),
            hashed("sha1", Buffer.concat([Buffer.from(`blob ${bytes.length}\0`), bytes])),
          ].includes(name)
        )
          throw new Error(`blobs/${name}: ${bytes.length} bytes that are not of that name`);
      }
      const ref = textOf(join(repo, "refs", "main"));
      if (ref !== undefined && ref !== commit) throw new Error(`refs/main holds ${JSON.stringify(ref)}`);
      for (const [name, data] of Object.entries(files)) {
        const there = existsSync(join(snapshot(folder), name));
        if (there && !readFileSync(join(snapshot(folder), name)).equals(Buffer.from(data)))
          throw new Error(`${name} is not whole`);
        const promised = done || ref !== undefined || said.includes(snapshot(folder));
        if (!there && promised) throw new Error(`${name} was said to be there, and is not`);
      }
    },
    /** As after a download that nothing disturbed. */
    healed(folder) {
      const found = treeOf(join(folder, "cache"));
      whole ??= found;
      const strange = [
        ...found.filter((line) => !whole?.includes(line)),
        ...whole.filter((line) => !found.includes(line)),
      ];
      if (strange.length > 0) throw new Error(`left behind, or missing: ${strange.join(", ")}`);
    },
    close: () => hub.stop(),
  };
}

function safely(work: () => boolean | undefined): boolean {
  try {
    return work() === true;
  } catch {
    return false;
  }
}

function textOf(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function holdsOnly(folder: string, names: readonly string[]): void {
  const found = readdirSync(folder).sort();
  if (found.join() !== names.toSorted().join())
    throw new Error(`expected ${names.join(", ")}, found ${found.join(", ")}`);
}

function hashed(algorithm: string, bytes: Buffer): string {
  return createHash(algorithm).update(bytes).digest("hex");
}

function digestOf(folder: string): string {
  return hashed("sha256", Buffer.from(treeOf(folder).join("\n")));
}

/** A line for each file of a folder: name and content. */
function treeOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const name = path.slice(folder.length + 1);
      if (entry.isSymbolicLink()) return `${name} -> ${readlinkSync(path)}`;
      return statSync(path).isFile() ? `${name} ${hashed("sha256", readFileSync(path))}` : `${name}/`;
    })
    .sort();
}
