// Child processes and files, as the set-up steps need them.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Runs a command to its end without a shell; never throws: a command that isn't there has code 127. */
export function run(command, args, { onLine, ...options } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    const lines = [];
    let rest = "";
    const take = (chunk) => {
      const parts = (rest + chunk).split(/\r?\n/);
      rest = parts.pop();
      for (const line of parts) {
        lines.push(line);
        onLine?.(line);
      }
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    child.on("error", (error) => resolve({ code: 127, lines: [...lines, error.message] }));
    child.on("close", (code, signal) => {
      if (rest) lines.push(rest);
      resolve({ code: code ?? 1, lines: signal ? [...lines, `ended by ${signal}`] : lines });
    });
  });
}

/** The stdout of a quick command, or undefined when it is missing or fails. */
export function ask(command, args, { input = "", cwd } = {}) {
  const { status, stdout } = spawnSync(command, args, {
    input,
    cwd,
    encoding: "utf8",
    timeout: 30_000,
    maxBuffer: 2 ** 25,
  });
  return status === 0 ? stdout : undefined;
}

export async function sha256(file) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}

/** A name beside `path`, on the same file system and this process's own, to be renamed to `path` when it is whole. */
export function temporary(path) {
  return join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
}

/** Puts a finished folder in the place of an old one. Between the two renames there is none, never a half one. */
export async function replaceFolder(finished, path) {
  const old = temporary(`${path}.old`);
  await rename(path, old).catch((error) => {
    if (error.code !== "ENOENT") throw error;
  });
  await rename(finished, path);
  await rm(old, { recursive: true, force: true });
}

/** Removes what an interrupted set-up left under temporary names. Only for the owner of the lock. */
export async function sweep(folder) {
  const names = await readdir(folder).catch(() => []);
  const left = names.filter((name) => /^\..*\.tmp$/.test(name));
  await Promise.all(left.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}
