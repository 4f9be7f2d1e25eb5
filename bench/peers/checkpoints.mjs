// A model in the form that each implementation reads: the same weights, converted.
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkRoom, modelFolders, weightsOf } from "./models.mjs";
import { command } from "./setup.mjs";

const CLI = fileURLToPath(new URL("../../bin/mlx-gemma.js", import.meta.url));
const GROUP_SIZE = 64;

/**
 * Where `implementation` finds model `name` with `weights`: `{ target, assistant, dtype, bytes }`.
 *
 * @throws Error with the reason why it can't be compared
 */
export async function checkpointFor(implementation, name, weights, context) {
  const folders = await modelFolders(name, context.work, context.tell);
  const own = name === "embedded" ? join(context.work, "models", "embedded") : join(folders.target, "..");
  mkdirSync(own, { recursive: true });
  const bytes = (folder) => weightsOf(folder).all * (weights === "f32" ? 2 : 1);
  if (implementation === "llama.cpp") {
    const target = await gguf(folders.target, own, "target", weights, context);
    // The assistant stays in its own dtype where the target is quantized, for everyone.
    const assistant = await gguf(
      folders.assistant,
      own,
      "assistant",
      weights === "f32" ? "f32" : "bf16",
      context,
    );
    return {
      target,
      assistant,
      dtype: weights,
      bytes: bytes(folders.target) * (weights === "4bit" ? 0.3 : 1),
    };
  }
  if (weights !== "4bit") return { ...folders, dtype: weights, bytes: bytes(folders.target) };
  if (implementation === "transformers") throw new Error("it has no 4-bit kernels for a CPU");
  const target = await quantizedByUs(folders.target, own, context);
  return { target, assistant: folders.assistant, dtype: weights, bytes: bytes(target) };
}

async function quantizedByUs(source, own, { tell }) {
  const folder = join(own, "target-4bit");
  if (existsSync(folder)) return folder;
  tell(`quantizing ${source}: affine, 4 bits, groups of ${GROUP_SIZE}`);
  checkRoom(own, weightsOf(source).all * 0.3, folder);
  const what = ["quantize", "--model", source, "--bits", "4", "--group-size", String(GROUP_SIZE)];
  await command(process.execPath, [CLI, ...what, "-o", folder]);
  return folder;
}

async function gguf(source, own, part, weights, context) {
  const { llama, python, tell } = context;
  const file = join(own, `${part}-${weights}.gguf`);
  if (existsSync(file)) return file;
  const unfinished = `${file}.unfinished`;
  rmSync(unfinished, { force: true });
  const size = weightsOf(source).all * { bf16: 1, f32: 2, "4bit": 0.3 }[weights];
  checkRoom(own, size, file);
  tell(`writing ${file}`);
  if (weights === "4bit") {
    const bf16 = await gguf(source, own, part, "bf16", context);
    // --pure: the embedding, too, as our 4-bit conversion has it.
    await command(llama.program("llama-quantize"), ["--pure", bf16, unfinished, "Q4_0"]);
  } else {
    const converter = join(llama.source, "convert_hf_to_gguf.py");
    await command(python, [converter, source, "--outfile", unfinished, "--outtype", weights]);
  }
  renameSync(unfinished, file);
  return file;
}
