#!/usr/bin/env node
import { existsSync } from "node:fs";

const main = new URL("../dist/bundle/main.js", import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  // The exit code of an addon that can't be loaded: both mean that the set-up has not run to its end.
  process.stderr.write("mlx-gemma: this folder is not built yet; run: npm run build\n");
  process.exitCode = 7;
}
