#!/usr/bin/env node
// Does drafting pay on the embedded pair? `mlx-gemma bench` on the prompts that were kept out of its training, which are the
// README's figures: the 20 chats and 20 prose prefixes of training/eval/. What follows goes to the command.
//
//   node bench/held-out.mjs [--draft-tokens 1,3,6] [--repetitions 5] [--save bench/results/….json] …
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const folder = at("build/held-out");
mkdirSync(folder, { recursive: true });

/** Writes one kind of the prompts as JSONL. */
function suite(kind, asLine) {
  const path = `${folder}/${kind}.jsonl`;
  const entries = JSON.parse(readFileSync(at(`training/eval/prompts-${kind}.json`), "utf8"));
  writeFileSync(path, entries.map(({ prompt }) => `${JSON.stringify(asLine(prompt))}\n`).join(""));
  return ["--prompts", path];
}

const prompts = [...suite("chat", (prompt) => prompt), ...suite("prose", (text) => ({ text }))];
const defaults = ["--draft-tokens", "1,3,6", "--max-tokens", "200"];
const args = [at("bin/mlx-gemma.js"), "bench", ...prompts, ...defaults, ...process.argv.slice(2)];
const child = spawn(process.execPath, args, { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {}); // The command has it too, and ends us.
child.on("close", (code, signal) => {
  if (signal) process.kill(process.pid, signal);
  else process.exitCode = code;
});
