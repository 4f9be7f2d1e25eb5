import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** The files of a small repository that loads nothing, but is whole for the hub. */
export const FILES: Readonly<Record<string, string>> = {
  "config.json": '{"model_type":"gemma4_text"}',
  "generation_config.json": "{}",
  "tokenizer.json": "{}",
  "tokenizer_config.json": "{}",
  "model.safetensors": "weights",
};

/** Lays a snapshot into a cache by hand, as Python's huggingface_hub does. */
export function layOut(
  cache: string,
  id: string,
  files: Readonly<Record<string, string | Uint8Array>>,
  { commit = COMMIT, ref = "main" }: { commit?: string; ref?: string } = {},
): string {
  const repo = join(cache, `models--${id.replace("/", "--")}`);
  const folder = join(repo, "snapshots", commit);
  let count = 0;
  for (const [name, text] of Object.entries(files)) {
    const blob = join(repo, "blobs", `${commit.slice(0, 8)}-${count++}`);
    const path = join(folder, name);
    mkdirSync(dirname(blob), { recursive: true });
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(blob, text);
    symlinkSync(relative(dirname(path), blob), path);
  }
  if (ref) {
    mkdirSync(dirname(join(repo, "refs", ref)), { recursive: true });
    writeFileSync(join(repo, "refs", ref), commit);
  }
  return folder;
}
