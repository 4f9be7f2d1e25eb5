import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openTarget } from "../../src/checkpoint/index.js";
import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.js";
import type { TensorInfo } from "../../src/checkpoint/types.js";
import { stampAt } from "../../src/file-stamp.js";
import { addon } from "../../src/mlx/addon.js";
import { evaluate, fromBytes, type MlxArray, readBytes, readFloat32 } from "../../src/mlx/array.js";
import { loadWeights } from "../../src/mlx/load-weights.js";
import * as ops from "../../src/mlx/ops.js";
import { rejected, temporaryFolder } from "../checkpoint/helpers.js";
import { floatTensor, integerTensor, type StoredTensor, writeSafetensors } from "../support/tensors.js";

const asStored = () => undefined;

/** Numbers that no other place has; more bytes than a piece of a thread, and no whole number of pieces. */
const large = Float32Array.from({ length: 3_000_001 }, (_, i) => i * 0.5 - 7);

function shards(): { stored: Map<string, StoredTensor>; tensors: Map<string, TensorInfo> } {
  const folder = temporaryFolder();
  const parts: Readonly<Record<string, readonly [string, StoredTensor][]>> = {
    "a.safetensors": [
      ["small", floatTensor(Float32Array.of(1, -2, 3.5), [3])],
      ["large", floatTensor(large, [large.length])],
      ["bytes", integerTensor(Uint8Array.of(1, 2, 255), [3, 1])],
    ],
    "b.safetensors": [
      ["ids", integerTensor(Int32Array.of(-1, 2 ** 30), [2])],
      ["words", integerTensor(Uint32Array.of(2 ** 32 - 1), [1, 1, 1])],
      ["more", floatTensor(large.subarray(5), [large.length - 5])],
    ],
  };
  const tensors = new Map<string, TensorInfo>();
  for (const [name, part] of Object.entries(parts)) {
    writeSafetensors(join(folder, name), new Map(part));
    for (const entry of readSafetensorsHeader(join(folder, name))) tensors.set(...entry);
  }
  return { stored: new Map(Object.values(parts).flat()), tensors };
}

function dispose(arrays: Iterable<MlxArray>): void {
  for (const array of arrays) array.dispose();
}

const held = () => ({ active: addon().memory().active, arrays: addon().counters().liveArrays });

describe("weights", () => {
  it.each([1, 2, 5])("of several shards are what the files hold, on %i threads", async (threads) => {
    const { stored, tensors } = shards();
    addon().setThreads(threads);
    const arrays = await loadWeights(tensors, asStored);
    addon().setThreads(0);
    expect([...arrays.keys()]).toEqual([...stored.keys()]);
    for (const [name, array] of arrays) {
      expect(array.shape).toEqual(stored.get(name)?.shape);
      expect(Buffer.compare(readBytes(array), stored.get(name)?.bytes ?? Buffer.of())).toBe(0);
    }
    dispose(arrays.values());
  });

  it("are cast as MLX casts, those that are to be", async () => {
    const { stored, tensors } = shards();
    const arrays = await loadWeights(tensors, (_, { dtype }) =>
      dtype === "float32" ? "bfloat16" : undefined,
    );
    expect([...arrays.values()].map(({ dtype }) => dtype)).toEqual([
      "bfloat16",
      "bfloat16",
      "uint8",
      "int32",
      "uint32",
      "bfloat16",
    ]);
    for (const name of ["large", "more"]) {
      const { bytes, shape } = stored.get(name) ?? floatTensor(Float32Array.of(), [0]);
      const wide = fromBytes(bytes, shape, "float32");
      const cast = ops.astype(wide, "bfloat16");
      const found = arrays.get(name) ?? cast;
      await evaluate([[cast]]);
      expect(found).not.toBe(cast);
      expect(Buffer.compare(readBytes(found), readBytes(cast))).toBe(0);
      dispose([wide, cast]);
    }
    dispose(arrays.values());
  });

  it("take their bytes of memory and no more, at any time", async () => {
    const { bytes, tensors } = openTarget().weights;
    addon().clearCache();
    addon().resetPeakMemory();
    const before = addon().memory().active;
    const arrays = await loadWeights(tensors, asStored);
    expect(addon().memory().active - before).toBe(bytes);
    expect(addon().memory().peak - before).toBe(bytes);
    dispose(arrays.values());
    expect(addon().memory().active).toBe(before);
  });

  it("of a file that ends too early are told, and nothing of the others is kept", async () => {
    const { tensors } = shards();
    const file = join(temporaryFolder(), "short");
    writeFileSync(file, Buffer.alloc(5_000_000));
    const short: TensorInfo = {
      file,
      stamp: stampAt(file),
      dtype: "float32",
      shape: [2_000_000],
      offset: 8,
      bytes: 8_000_000,
    };
    const before = held();
    const loading = loadWeights(new Map([...tensors, ["short", short]]), asStored);
    expect((await rejected("checkpoint", loading)).message).toMatch(
      new RegExp(`^${file}: expected \\d+ bytes or more, found 5000000; check the disk`),
    );
    expect(held()).toEqual(before);
  });

  // The beginning of a process's memory can't be read, and says so as a broken disk does.
  it.runIf(process.platform === "linux")("of a disk that fails are told", async () => {
    const { tensors } = shards();
    const file = "/proc/self/mem";
    const [first] = tensors.values();
    if (!first) throw new Error("no tensors");
    const broken = { ...first, file, stamp: stampAt(file), offset: 0 };
    const before = held();
    const loading = loadWeights(new Map([...tensors, ["broken", broken]]), asStored);
    expect((await rejected("checkpoint", loading)).message).toBe(
      `${file}: expected a readable file, found: Input/output error; check the disk, and download the file again`,
    );
    expect(held()).toEqual(before);
  });

  it("that can't be opened are told", async () => {
    const { tensors } = shards();
    const [first] = tensors.values();
    if (!first) throw new Error("no tensors");
    const gone = { ...first, file: "/nowhere", stamp: stampAt("/nowhere") };
    expect(
      (await rejected("checkpoint", loadWeights(new Map([["gone", gone]]), asStored))).message,
    ).toContain("/nowhere: expected a readable file, found: No such file or directory;");
  });

  it("that are no longer wanted are given back", async () => {
    const { tensors } = shards();
    const before = held();
    const controller = new AbortController();
    const loading = loadWeights(tensors, asStored, controller.signal);
    controller.abort();
    await rejected("aborted", loading);
    expect(held()).toEqual(before);
    await rejected("aborted", loadWeights(tensors, asStored, AbortSignal.abort()));
    const arrays = await loadWeights(tensors, asStored, new AbortController().signal); // (control)
    expect(readFloat32(arrays.get("small") ?? ops.scalar(0, "float32"))).toEqual(Float32Array.of(1, -2, 3.5));
    dispose(arrays.values());
  });
});
