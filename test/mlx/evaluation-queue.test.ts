import { pbkdf2 } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { evaluate, type MlxArray } from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";

/** As many threads as libuv has for files, names, cryptography and us together. */
const POOL = 4;

/** Some tens of milliseconds of work. */
function heavy(): MlxArray {
  let x = ops.zeros([500, 500], "float32");
  for (let i = 0; i < 8; i++) x = ops.linear(x, x);
  return x;
}

it("evaluations that wait leave Node's pool to others, and end in the order of their calls", async () => {
  const ended: string[] = [];
  const note = (name: string) => () => ended.push(name);
  const names = Array.from({ length: 2 * POOL }, (_, i) => `evaluation ${i}`);
  const evaluations = names.map((name) => evaluate([[heavy()]]).then(note(name)));
  const others = [
    readFile(fileURLToPath(import.meta.url)).then(note("file")),
    promisify(pbkdf2)("password", "salt", 1, 32, "sha256").then(note("key")),
  ];
  await Promise.all([...evaluations, ...others]);
  expect(ended.filter((name) => names.includes(name))).toEqual(names);
  for (const other of ["file", "key"]) expect(ended.indexOf(other), ended.join(", ")).toBeLessThan(POOL);
});
