import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folderFiles } from "../../src/checkpoint/files.js";
import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.js";
import { diff } from "../../src/inspect/diff.js";
import { inspectFiles } from "../../src/inspect/open.js";
import { comparePair } from "../../src/inspect/pair.js";
import type { Difference } from "../../src/inspect/schema.js";
import { statsOf } from "../../src/inspect/stats.js";
import { matcher } from "../../src/inspect/tensors.js";
import { copyOf, rejected, temporaryFolder, thrown } from "../checkpoint/helpers.js";
import { EMBEDDED } from "../cli/helpers.js";
import { PACKINGS } from "../support/packed.js";
import { writeTarget } from "../support/tiny-checkpoint.js";

const open = (folder: string) => inspectFiles(folderFiles(folder));
const golden = (name: string, part = "target") => open(`${import.meta.dirname}/../golden/${name}/${part}`);
const VALUES = { readValues: true };

async function differences(one: string, other: string): Promise<readonly Difference[]> {
  return (await diff(await open(one), await open(other), undefined, VALUES)).differences;
}

describe("diff", () => {
  it.each(PACKINGS.filter(({ groupSize }) => groupSize <= 32))(
    "of weights in $bits bits ($mode) and the values they stand for finds none",
    async (packing) => {
      const folder = temporaryFolder();
      const options = { experts: "split", packing: () => packing } as const;
      const packed = writeTarget(join(folder, "packed"), options);
      const plain = writeTarget(join(folder, "plain"), { ...options, plain: true });
      const found = await differences(packed, plain);
      expect(found.filter(({ status }) => status === "dtype").length).toBeGreaterThan(10);
      for (const { name, error } of found) expect([name, error?.unequal]).toEqual([name, 0]);
    },
  );

  it("compares stacked experts with split ones, gate with gate and up with up", async () => {
    const { differences: found } = await diff(
      await golden("moe"),
      await golden("moe-quantized"),
      "*experts*proj*",
      VALUES,
    );
    expect(found.length).toBeGreaterThanOrEqual(6);
    // Four bits keep a signal of some 20 dB; another matrix would be below 0. What is not packed has no noise.
    for (const { name, error } of found) {
      const close = error !== null && (error.unequal === 0 || (error.sqnr ?? 0) > 15);
      expect([name, close]).toEqual([name, true]);
    }
  });

  it("tells what only one has, and other shapes", async () => {
    const { differences: found } = await diff(
      await golden("e-style"),
      await golden("unified"),
      undefined,
      VALUES,
    );
    const statuses = new Set(found.map(({ status }) => status));
    for (const status of ["missing", "shape"] as const) expect(statuses).toContain(status);
    const shape = found.find(({ status }) => status === "shape");
    expect(shape?.error).toBeNull();
    expect(shape?.checkpoint?.shape).not.toEqual(shape?.other?.shape);
  });

  it("does not depend on the threads", async () => {
    const [one, other] = [await open(`${EMBEDDED}/target`), await open(`${EMBEDDED}/target`)];
    const alone = await diff(one, other, undefined, { ...VALUES, threads: 0 });
    expect(
      alone.differences.every(
        ({ error }) => error?.unequal === 0 && error.sqnr === null && error.maxAbs === 0,
      ),
    ).toBe(true);
  });
});

describe("stats", () => {
  it("of one tensor are those of its values", async () => {
    const folder = `${EMBEDDED}/target`;
    const name = "model.layers.0.input_layernorm.weight";
    const { stats } = await statsOf(await open(folder), name);
    const info = readSafetensorsHeader(join(folder, "model.safetensors")).get(name);
    const bytes = readFileSync(join(folder, "model.safetensors")).subarray(
      info?.offset,
      (info?.offset ?? 0) + (info?.bytes ?? 0),
    );
    const values = Array.from({ length: 256 }, (_, i) =>
      Buffer.from([0, 0, bytes[2 * i] ?? 0, bytes[2 * i + 1] ?? 0]).readFloatLE(),
    );
    const mean = values.reduce((sum, value) => sum + value, 0) / 256;
    const std = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 256);
    expect(stats).toHaveLength(1);
    const [found] = stats;
    expect(found).toMatchObject({
      name,
      values: 256,
      min: Math.min(...values),
      max: Math.max(...values),
      zeros: 0,
      nan: 0,
      inf: 0,
    });
    expect(found?.mean).toBeCloseTo(mean, 9);
    expect(found?.std).toBeCloseTo(std, 9);
    const { histogram } = found ?? {};
    const inBins = histogram?.bins.reduce((sum, bin) => sum + bin, 0) ?? 0;
    expect(inBins + (histogram?.below ?? 0) + (histogram?.above ?? 0)).toBe(256);
  });

  it("of a packed weight are those of the values that it stands for", async () => {
    const folder = temporaryFolder();
    const options = { packing: () => ({ bits: 4, groupSize: 32, mode: "affine" as const }) };
    const name = "language_model.model.layers.0.mlp.down_proj.weight";
    const [packed] = (await statsOf(await open(writeTarget(join(folder, "a"), options)), name)).stats;
    const [plain] = (
      await statsOf(await open(writeTarget(join(folder, "b"), { ...options, plain: true })), name)
    ).stats;
    expect(packed?.dtype).toBe("4 bit");
    expect({ ...packed, dtype: plain?.dtype }).toEqual(plain);
  });

  it("refuse a pattern that fits nothing, and end when they are told to", async () => {
    const inspected = await open(`${EMBEDDED}/target`);
    const error = await rejected("usage", statsOf(inspected, "nothing.*"));
    expect(error.message).toMatch(/expected a pattern that fits one of the 160 tensors, found "nothing\.\*"/);
    await rejected("aborted", statsOf(inspected, undefined, { signal: AbortSignal.abort() }));
  });
});

describe("a pattern of names", () => {
  it.each<[string, string, boolean]>([
    ["*.q_proj.*", "model.layers.0.self_attn.q_proj.weight", true],
    ["q_proj", "model.layers.0.self_attn.q_proj.weight", true],
    ["layers.?.mlp", "model.layers.0.mlp.up_proj.weight", false],
    ["*layers.{0,11}.mlp*", "model.layers.11.mlp.up_proj.weight", true],
    ["*layers.{0,11}.mlp*", "model.layers.1.mlp.up_proj.weight", false],
    ["model.norm*", "model_norm.weight", false],
    ["*(a|b)+*", "x(a|b)+y", true],
    ["*(a|b)+*", "xaby", false],
  ])("%s, %s: %s", (pattern, name, fits) => {
    expect(matcher(pattern)(name)).toBe(fits);
  });
});

describe("pair", () => {
  it("tells every rule, with both values", async () => {
    const view = comparePair(await golden("e-style"), await golden("e-style", "assistant"));
    expect(view.fits).toBe(true);
    expect(view.rules.length).toBeGreaterThanOrEqual(9);
    const other = comparePair(await golden("unified"), await golden("moe", "assistant"));
    expect(other.fits).toBe(false);
    const broken = other.rules.filter(({ fits }) => !fits);
    expect(broken.length).toBeGreaterThan(1);
    for (const { target, assistant } of broken) expect(target).not.toBe(assistant);
  });

  it("compares the tokenizers where both have one, and says so where not", async () => {
    const [target, assistant] = [copyOf(`${EMBEDDED}/target`), copyOf(`${EMBEDDED}/assistant`)];
    const compared = async () => comparePair(await open(target), await open(assistant));
    const tokenizers = async () => (await compared()).rules.find(({ what }) => what === "tokenizers");
    expect(await tokenizers()).toMatchObject({ fits: true });
    const file = join(assistant, "tokenizer.json");
    writeFileSync(file, readFileSync(file, "utf8").replaceAll('"<bos>"', '"<start>"'));
    const broken = await tokenizers();
    expect(broken).toMatchObject({ fits: false });
    expect(broken?.target).toMatch(/^id \d+ is "<bos>"$/);
    rmSync(file);
    expect(await tokenizers()).toBeUndefined();
    expect((await compared()).warnings).toEqual([
      {
        code: "tokenizers-not-compared",
        message: `the tokenizers were not compared: no tokenizer.json in ${assistant}; copy it there`,
      },
    ]);
  });

  it("refuses the wrong order", async () => {
    const [target, assistant] = [await golden("moe"), await golden("moe", "assistant")];
    thrown("usage", () => comparePair(assistant, target));
  });
});
