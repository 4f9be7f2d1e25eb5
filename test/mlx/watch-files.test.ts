import {
  appendFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folderFiles } from "../../src/checkpoint/files.js";
import { EMBEDDED_TARGET, openTarget } from "../../src/checkpoint/index.js";
import { checkUnchanged, stampAt } from "../../src/file-stamp.js";
import { inspectFiles } from "../../src/inspect/open.js";
import { decodeRun } from "../../src/inspect/values/decode.js";
import { loadWeights } from "../../src/mlx/load-weights.js";
import { quantize } from "../../src/quantize/quantize.js";
import { copyOf, rejected, temporaryFolder, thrown } from "../checkpoint/helpers.js";

const CHANGES: Readonly<Record<string, (file: string) => void>> = {
  cut: (file) => truncateSync(file, 1000),
  grew: (file) => appendFileSync(file, "x"),
  "was written over": (file) => {
    const bytes = readFileSync(file);
    bytes.fill(0, bytes.length - 8);
    writeFileSync(file, bytes);
    utimesSync(file, 1, 1);
  },
  "was replaced by another": (file) => {
    writeFileSync(`${file}.new`, readFileSync(file));
    renameSync(`${file}.new`, file);
  },
  "is gone": (file) => rmSync(file),
};

describe("a file of weights that", () => {
  it.each(Object.keys(CHANGES))("%s while it is read is told", async (change) => {
    const folder = copyOf(EMBEDDED_TARGET);
    const file = join(folder, "model.safetensors");
    const { tensors } = openTarget(folder).weights;
    const loading = loadWeights(tensors, () => undefined);
    CHANGES[change]?.(file);
    expect((await rejected("checkpoint", loading)).message).toContain(`${file}: expected a file that stays`);
  });

  it.each(Object.keys(CHANGES))("%s between its check and its reading is told", async (change) => {
    const folder = copyOf(EMBEDDED_TARGET);
    const file = join(folder, "model.safetensors");
    const { tensors } = openTarget(folder).weights;
    CHANGES[change]?.(file);
    const loading = loadWeights(tensors, () => undefined);
    expect((await rejected("checkpoint", loading)).message).toContain(`${file}: expected a file that stays`);
  });

  it.each(Object.keys(CHANGES))(
    "%s while it is quantized is told, and nothing is made of it",
    async (change) => {
      const folder = copyOf(EMBEDDED_TARGET);
      const file = join(folder, "model.safetensors");
      const output = join(temporaryFolder(), "out");
      let changed = false;
      const packing = quantize({ model: folder, output }, ({ type }) => {
        if (type === "bytes" && !changed) CHANGES[change]?.(file);
        changed ||= type === "bytes";
      });
      expect((await rejected("checkpoint", packing)).message).toContain(`${file}: expected`);
      expect(existsSync(output)).toBe(false);
    },
  );

  it.each(Object.keys(CHANGES))("%s before its values are looked at is told", async (change) => {
    const folder = copyOf(EMBEDDED_TARGET);
    const file = join(folder, "model.safetensors");
    const { survey } = await inspectFiles(folderFiles(folder));
    const [stored] = survey.tensors.values();
    if (!stored) throw new Error("no tensors");
    const run = { encoded: { kind: "plain", stored }, start: 0, values: 8 } as const;
    expect(await decodeRun(run)).toHaveLength(8);
    CHANGES[change]?.(file);
    expect((await rejected("checkpoint", decodeRun(run))).message).toContain(
      `${file}: expected a file that stays`,
    );
  });

  it("stays as it is loads (control)", async () => {
    const arrays = await loadWeights(openTarget().weights.tensors, () => undefined);
    expect(arrays.size).toBeGreaterThan(10);
    for (const array of arrays.values()) array.dispose();
  });

  it("is never there is told when it comes", () => {
    const file = join(temporaryFolder(), "x");
    const stamps = new Map([[file, stampAt(file)]]);
    checkUnchanged(stamps);
    writeFileSync(file, "x");
    thrown("checkpoint", () => checkUnchanged(stamps));
  });
});
