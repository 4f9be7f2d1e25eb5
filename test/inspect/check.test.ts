import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folderFiles } from "../../src/checkpoint/files.js";
import { check } from "../../src/inspect/check.js";
import { diff } from "../../src/inspect/diff.js";
import { inspectFiles } from "../../src/inspect/open.js";
import type { CheckView } from "../../src/inspect/schema.js";
import { statsOf } from "../../src/inspect/stats.js";
import { copyOf, writeJson } from "../checkpoint/helpers.js";
import { EMBEDDED } from "../cli/helpers.js";

const golden = (name: string, part: string) => `${import.meta.dirname}/../golden/${name}/${part}`;
const WEIGHTS = "model.safetensors";

async function checked(folder: string, readValues = true): Promise<CheckView> {
  return await check(await inspectFiles(folderFiles(folder)), { readValues });
}

const messages = ({ findings }: CheckView) => findings.map(({ message }) => message);

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

/** Rewrites the header of a file, and maybe its data. */
function edit(
  folder: string,
  name: string,
  change: (header: Header, data: Buffer) => Buffer | undefined,
): void {
  const file = join(folder, name);
  const bytes = readFileSync(file);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header: Header = JSON.parse(bytes.toString("utf8", 8, end));
  const data = Buffer.from(bytes.subarray(end));
  const changed = change(header, data) ?? data;
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([length, text, changed]));
}

function entry(header: Header, name: string) {
  const found = header[name];
  if (!found) throw new Error(`no ${name}`);
  return found;
}

describe("a sound checkpoint", () => {
  it.each(["dense-k-eq-v", "e-style", "moe", "moe-quantized", "quantized", "unified"])(
    "%s has no flaw",
    async (name) => {
      for (const part of ["target", "assistant"])
        expect((await checked(golden(name, part))).findings).toEqual([]);
    },
  );

  it("may carry K/V that no layer reads, which is a note", async () => {
    const { notes } = await checked(golden("e-style", "target"), false);
    expect(notes).toEqual([
      expect.stringMatching(/^\d+ tensors of layers that share another's K\/V are not read/),
    ]);
  });

  it("may lack the shards of vision and sound", async () => {
    const folder = copyOf(golden("moe", "target"));
    const index = JSON.parse(readFileSync(join(folder, "model.safetensors.index.json"), "utf8"));
    index.weight_map["model.vision_tower.x.weight"] = "model-vision.safetensors";
    writeJson(folder, "model.safetensors.index.json", index);
    const { findings, notes } = await checked(folder, false);
    expect(findings).toEqual([]);
    expect(notes).toEqual([
      expect.stringMatching(/1 tensors of vision and sound lie in shards that are not there/),
    ]);
  });
});

describe("flaws", () => {
  const target = () => copyOf(`${EMBEDDED}/target`);
  const assistant = () => copyOf(`${EMBEDDED}/assistant`);

  it("all of several are told", async () => {
    const folder = target();
    edit(folder, WEIGHTS, (header) => {
      delete header["model.norm.weight"];
      delete header["model.layers.2.layer_scalar"];
      header["model.surplus.weight"] = { ...entry(header, "model.layers.0.layer_scalar"), shape: [1] };
      const norm = entry(header, "model.layers.0.input_layernorm.weight");
      norm.shape = [16, 16];
      return undefined;
    });
    const found = messages(await checked(folder));
    for (const part of [
      /expected tensor model\.norm\.weight, found nothing/,
      /expected tensor model\.layers\.2\.layer_scalar, found nothing/,
      /expected no tensor model\.surplus\.weight in a gemma4_text/,
      /model\.layers\.0\.input_layernorm\.weight: expected shape \[256\], found \[16, 16\]/,
      /overlaps/,
      /hole/,
    ]) {
      expect(found.filter((message) => part.test(message))).not.toEqual([]);
    }
    expect(new Set(found).size).toBe(found.length);
  });

  it("a file that is cut off", async () => {
    const folder = target();
    edit(folder, WEIGHTS, (_, data) => data.subarray(0, data.length - 10));
    const flaw = /expected 22885516 bytes, found 22885506: the file is cut off/;
    expect(messages(await checked(folder, false))).toEqual([expect.stringMatching(flaw)]);
    // Values are not looked for where they can't be.
    const { findings, notes } = await checked(folder);
    expect(findings).toEqual([{ code: "checkpoint", message: expect.stringMatching(flaw) }]);
    expect(notes).toEqual([
      "the values of 160 tensors were not read, since the header of their file has a flaw",
    ]);
    const inspected = await inspectFiles(folderFiles(folder));
    await expect(statsOf(inspected, undefined)).rejects.toThrow(flaw);
    const sound = await inspectFiles(folderFiles(target()));
    await expect(diff(sound, inspected, undefined, { readValues: true })).rejects.toThrow(flaw);
  });

  it("a file that is cut off, with a token_ordering in it", async () => {
    const folder = assistant();
    edit(folder, WEIGHTS, (_, data) => data.subarray(0, 100));
    expect(messages(await checked(folder))).toEqual([expect.stringMatching(/the file is cut off/)]);
  });

  it("a cut shard leaves the others to be read", async () => {
    const folder = copyOf(golden("moe", "target"));
    const [first = "", second = ""] = ["1", "2"].map((n) => `model-0000${n}-of-00002.safetensors`);
    edit(folder, first, (header, data) => {
      const [name = ""] = Object.keys(header).filter((key) => entry(header, key).dtype === "BF16");
      data.writeUInt16LE(0x7fc0, entry(header, name).data_offsets[0]);
      return undefined;
    });
    edit(folder, second, (_, data) => data.subarray(0, -1));
    expect(messages(await checked(folder))).toEqual([
      expect.stringMatching(`${second}: expected .* the file is cut off`),
      expect.stringMatching(`${first}: tensor .* found 1 NaN`),
    ]);
  });

  it("a header that is none", async () => {
    const folder = target();
    writeFileSync(join(folder, WEIGHTS), "no safetensors");
    expect(messages(await checked(folder))).toEqual([expect.stringMatching(/expected a header of 2 to/)]);
  });

  it("NaN and infinity, by tensor and count", async () => {
    const folder = target();
    edit(folder, WEIGHTS, (header, data) => {
      const [begin] = entry(header, "model.layers.1.mlp.up_proj.weight").data_offsets;
      for (const [i, pattern] of [0x7fc0, 0xffff, 0x7f80].entries())
        data.writeUInt16LE(pattern, begin + 2 * i);
      return undefined;
    });
    expect(messages(await checked(folder))).toEqual([
      expect.stringMatching(
        /tensor model\.layers\.1\.mlp\.up_proj\.weight: expected numbers, found 2 NaN and 1 infinite/,
      ),
    ]);
    expect(messages(await checked(folder, false))).toEqual([]);
  });

  it.each<[string, (ids: Buffer) => void, RegExp]>([
    ["a token that stands twice", (ids) => ids.copyWithin(0, 8, 16), /found \d+ a second time at place 1/],
    [
      "an id that is no token's",
      (ids) => ids.writeInt32LE(4096, 0),
      /expected a permutation of 0 to 4095, found 4096 at place 0/,
    ],
  ])("token_ordering: %s", async (_, spoil, expected) => {
    const folder = assistant();
    edit(folder, WEIGHTS, (header, data) => {
      const [begin, end] = entry(header, "masked_embedding.token_ordering").data_offsets;
      spoil(data.subarray(begin, end));
      return undefined;
    });
    expect(messages(await checked(folder, false))).toEqual([expect.stringMatching(expected)]);
  });

  it("an index that disagrees with its shards", async () => {
    const folder = copyOf(golden("moe", "target"));
    const file = join(folder, "model.safetensors.index.json");
    const index: { metadata?: object; weight_map: Record<string, string> } = JSON.parse(
      readFileSync(file, "utf8"),
    );
    const shards = [...new Set(Object.values(index.weight_map))];
    const [name = "", shard = ""] = Object.entries(index.weight_map)[0] ?? [];
    const [unnamed = ""] = Object.entries(index.weight_map).at(-1) ?? [];
    index.weight_map[name] = shards.find((other) => other !== shard) ?? "";
    delete index.weight_map[unnamed];
    index.metadata = { total_size: 5 };
    writeJson(folder, "model.safetensors.index.json", index);
    const found = messages(await checked(folder, false));
    expect(found).toEqual(
      expect.arrayContaining([
        expect.stringContaining(`expected tensor ${name} in ${index.weight_map[name]}, found it in ${shard}`),
        expect.stringContaining(`expected tensor ${unnamed} of`),
        expect.stringMatching(/metadata\.total_size: expected \d+, the bytes of all tensors, found 5/),
      ]),
    );
  });

  it("a missing shard is told once", async () => {
    const folder = copyOf(golden("moe", "target"));
    rmSync(join(folder, "model-00002-of-00002.safetensors"));
    expect(messages(await checked(folder))).toEqual([
      expect.stringMatching(
        /expected the shard model-00002-of-00002\.safetensors \(\d+ tensors\) beside it, found nothing there/,
      ),
    ]);
  });

  it("a config of another model, and none at all", async () => {
    const folder = target();
    writeJson(folder, "config.json", { model_type: "llama" });
    expect(messages(await checked(folder))).toEqual([
      expect.stringMatching(/model_type: expected .*, found "llama"/),
    ]);
    rmSync(join(folder, "config.json"));
    expect(messages(await checked(folder))).toEqual([
      expect.stringMatching(/expected config\.json, found none/),
    ]);
    copyFileSync(`${EMBEDDED}/assistant/config.json`, join(folder, "config.json"));
    expect(messages(await checked(folder, false)).length).toBeGreaterThan(1);
  });
});
