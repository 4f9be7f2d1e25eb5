import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.js";
import { MlxGemmaError } from "../../src/errors.js";
import { stampAt } from "../../src/file-stamp.js";
import { safetensors, temporaryFolder, thrown } from "./helpers.js";

const file = join(temporaryFolder(), "model.safetensors");
const read = (bytes: Buffer) => {
  writeFileSync(file, bytes);
  return readSafetensorsHeader(file);
};

const GOOD = {
  a: { dtype: "F32", shape: [2, 3] },
  b: { dtype: "BF16", shape: [5] },
  scalar: { dtype: "I64", shape: [] },
  nothing: { dtype: "U8", shape: [0, 4] },
};

/** One tensor entry as text, with `changes`. */
const header = (changes: Readonly<Record<string, unknown>>, name = "a") =>
  JSON.stringify({ [name]: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...changes } });
const eight = { a: { dtype: "F32", shape: [2] } };

describe("a safetensors header", () => {
  it("tells every tensor's dtype, shape and place", () => {
    const bytes = safetensors(GOOD);
    const start = 8 + Number(bytes.readBigUInt64LE());
    const tensors = read(bytes);
    const stamp = stampAt(file);
    expect(Object.fromEntries(tensors)).toEqual({
      a: { file, stamp, dtype: "float32", shape: [2, 3], offset: start, bytes: 24 },
      b: { file, stamp, dtype: "bfloat16", shape: [5], offset: start + 24, bytes: 10 },
      scalar: { file, stamp, dtype: "int64", shape: [], offset: start + 34, bytes: 8 },
      nothing: { file, stamp, dtype: "uint8", shape: [0, 4], offset: start + 42, bytes: 0 },
    });
  });

  it("is found truncated, with the bytes that were expected and found", () => {
    const bytes = safetensors(GOOD);
    const { message } = thrown("checkpoint", () => read(bytes.subarray(0, bytes.length - 5)));
    expect(message).toContain(`expected ${bytes.length} bytes, found ${bytes.length - 5}`);
    expect(thrown("checkpoint", () => read(bytes.subarray(0, 5))).message).toContain("found 5 bytes");
    expect(thrown("checkpoint", () => read(bytes.subarray(0, 40))).message).toContain("cut off");
    expect(thrown("checkpoint", () => read(Buffer.concat([bytes, Buffer.alloc(1)]))).message).toContain(
      "after the last",
    );
  });

  it.each<[string, string]>([
    [header({ dtype: "F4" }), "dtype: expected one of"],
    [header({ dtype: 3 }), "dtype: expected one of"],
    [header({ shape: [3] }), "expected 12 bytes for float32 [3], found 8"],
    [header({ shape: [1] }), "expected 4 bytes for float32 [1], found 8"],
    [header({ shape: [-2] }), "shape: expected"],
    [header({ shape: [1.5] }), "shape: expected"],
    [header({ shape: 2 }), "shape: expected"],
    [header({ shape: [2 ** 30, 2 ** 30, 2 ** 30] }), "expected 4.9"],
    [header({ shape: [2 ** 31, 0] }), "shape: expected a list of at most 16 whole numbers up to 2147483647"],
    [header({ shape: [2 ** 53 + 2] }), "shape: expected"],
    [header({ shape: ["2"] }), "shape: expected"],
    [header({ data_offsets: [0, 2 ** 53] }), "data_offsets: expected"],
    [header({}).replace("[0,8]", "[0,1e400]"), "data_offsets: expected"],
    [header({}, "\ud800"), "expected a name in Unicode"],
    [
      `{"__metadata__":{"format":1},${header({}).slice(1)}`,
      "__metadata__: expected an object of texts, found format: 1",
    ],
    [`{"__metadata__":{"a":"\\ud800"},${header({}).slice(1)}`, "__metadata__: expected an object of texts"],
    [
      `{"__metadata__":[],${header({}).slice(1)}`,
      "__metadata__: expected an object of texts, found a list of 0",
    ],
    [`{"__metadata__":{},"__metadata__":{},${header({}).slice(1)}`, "stands twice"],
    [
      `{${Array.from({ length: 200_001 }, (_, i) => `"${i}":0`).join()}}`,
      "expected at most 200000 names, objects and lists",
    ],
    [header({ shape: Array(20).fill(1) }), "shape: expected"],
    [header({ data_offsets: [8, 0] }), "data_offsets: expected"],
    [header({ data_offsets: [0] }), "data_offsets: expected"],
    [header({ data_offsets: [0, 8, 8] }), "data_offsets: expected"],
    [header({ data_offsets: [0, 2 ** 60] }), "data_offsets: expected"],
    [header({ data_offsets: [1, 9] }), "leaves a hole after the header"],
    [header({ data_offsets: [-8, 0] }), "data_offsets: expected"],
    ['{"a":null}', "entry: expected an object, found null"],
    [
      '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
      "stands twice",
    ],
    [
      '{"\\u0061":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
      "stands twice",
    ],
    [
      '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
      "overlaps a",
    ],
    ["[]", "begins with {"],
    ['{"a":', "expected JSON"],
    [`{"a":${"[".repeat(50_000)}`, "levels of nesting"],
    ["{}", "bytes after the last tensor"],
  ])("is refused: %.60s", (text, words) => {
    expect(thrown("checkpoint", () => read(safetensors(eight, text))).message).toContain(words);
  });

  it("takes a well-formed one (control of the table above)", () => {
    expect(read(safetensors(eight, header({})))).toHaveLength(1);
  });

  it("quotes names that would break the line", () => {
    const { message } = thrown("checkpoint", () =>
      read(safetensors(eight, header({ dtype: "?" }, "a\nb\u001b[31m"))),
    );
    expect(message).toContain('"a\\nb\\u001b[31m"');
  });

  it("refuses bytes that are no text", () => {
    const bytes = safetensors(eight, header({}, "name"));
    bytes[bytes.indexOf("name")] = 0xff;
    expect(thrown("checkpoint", () => read(bytes)).message).toContain("expected a header in UTF-8");
  });

  it("refuses a length that is larger than any header", () => {
    const bytes = safetensors(eight);
    bytes.writeBigUInt64LE(2n ** 63n);
    expect(thrown("checkpoint", () => read(bytes)).message).toContain("expected a header of");
  });

  it("is one of ours when it is missing or a folder", () => {
    expect(thrown("checkpoint", () => readSafetensorsHeader(join(file, "none"))).message).toContain(
      "nothing there",
    );
    expect(thrown("checkpoint", () => readSafetensorsHeader(temporaryFolder())).message).toContain(
      "found a folder",
    );
  });

  it("never crashes or hangs on mutated files", () => {
    const original = readFileSync("test/golden/dense-k-eq-v/assistant/model.safetensors");
    const small = original.subarray(0, 8 + Number(original.readBigUInt64LE()) + 64);
    const mutation = fc.record({
      kind: fc.constantFrom("flip", "cut", "insert", "digit"),
      at: fc.nat(small.length - 1),
      byte: fc.nat(255),
    });
    let refused = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(small, safetensors(GOOD)),
        fc.array(mutation, { maxLength: 4 }),
        (source, mutations) => {
          let bytes = Buffer.from(source);
          for (const { kind, at, byte } of mutations) {
            const i = at % Math.max(1, bytes.length);
            if (kind === "cut") bytes = bytes.subarray(0, i);
            else if (kind === "insert")
              bytes = Buffer.concat([bytes.subarray(0, i), Buffer.of(byte), bytes.subarray(i)]);
            else if (bytes.length > 0) bytes[i] = kind === "flip" ? byte : 0x30 + (byte % 10);
          }
          try {
            for (const { offset, bytes: length } of read(bytes).values())
              expect(offset + length).toBeLessThanOrEqual(bytes.length);
          } catch (error) {
            if (!(error instanceof MlxGemmaError)) throw error;
            expect(error.message).not.toMatch(/[\r\n]/);
            refused++;
          }
        },
      ),
      { numRuns: 400 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});
