import { isUtf8 } from "node:buffer";
import { ITEM_SIZE } from "./dtypes.js";
import { checkpointError, describe, isObject, parseJson, quote } from "./json.js";
import { type Report, reporting, strict } from "./report.js";
import type { StoredDtype, TensorInfo } from "./types.js";

/** Length of the little-endian uint64 in front of the header. */
export const PREFIX = 8;
/** A sixth of the format's own limit, and thirty times the longest header of a Gemma 4 checkpoint. */
const MAX_HEADER = 16 * 1024 * 1024;
/** Object, tensor, list: a header has no more levels. */
const MAX_DEPTH = 4;
const MAX_RANK = 16;
/** MLX counts in int32. */
const MAX_AXIS = 2 ** 31 - 1;
/** What to do about a broken file. */
export const AGAIN = "download the file again";

/** dtype of the format → our name. */
const DTYPES: ReadonlyMap<string, StoredDtype> = new Map([
  ["BF16", "bfloat16"],
  ["F16", "float16"],
  ["F32", "float32"],
  ["F64", "float64"],
  ["I8", "int8"],
  ["I16", "int16"],
  ["I32", "int32"],
  ["I64", "int64"],
  ["U8", "uint8"],
  ["U16", "uint16"],
  ["U32", "uint32"],
  ["U64", "uint64"],
  ["BOOL", "bool"],
  ["F8_E4M3", "float8_e4m3"],
  ["F8_E5M2", "float8_e5m2"],
]);

/** A safetensors file, as far as its header's reader must know it. */
export interface HeaderPlace {
  /** For errors, and as `TensorInfo.file`. */
  readonly file: string;
  /** Bytes of the whole file. */
  readonly size: number;
  /** As `TensorInfo.stamp`. */
  readonly stamp?: string;
}

/**
 * The header's length in bytes, from the file's first {@link PREFIX} bytes.
 *
 * @throws MlxGemmaError `checkpoint` for a length that cannot be, or a file that ends before.
 */
export function headerLength(prefix: Buffer, { file, size }: HeaderPlace): number {
  if (size < PREFIX || prefix.length < PREFIX)
    throw checkpointError(file, `expected a safetensors file, found ${size} bytes; ${AGAIN}`);
  const length = Number(prefix.readBigUInt64LE());
  if (length < 2 || length > MAX_HEADER) {
    throw checkpointError(
      file,
      `expected a header of 2 to ${MAX_HEADER} bytes, found a length of ${length}; ${AGAIN}`,
    );
  }
  if (length > size - PREFIX) {
    throw checkpointError(
      file,
      `expected a header of ${length} bytes, found ${size - PREFIX}: the file is cut off; ${AGAIN}`,
    );
  }
  return length;
}

/**
 * Reads a header's JSON and checks it against the file's size: every tensor lies inside, has as many bytes as its shape
 * and dtype say, and the tensors fill the file without overlap or hole.
 *
 * @param bytes the header, without its prefix
 * @param report told each flaw of a tensor; by default the first is thrown
 * @returns the tensors without a flaw of their own
 * @throws MlxGemmaError `checkpoint` for what is no header at all.
 */
export function parseHeader(
  bytes: Buffer,
  place: HeaderPlace,
  report: Report = strict,
): Map<string, TensorInfo> {
  const { file, stamp = "" } = place;
  if (!isUtf8(bytes)) throw checkpointError(file, `expected a header in UTF-8, found other bytes; ${AGAIN}`);
  const text = bytes.toString("utf8");
  if (!text.startsWith("{")) {
    throw checkpointError(
      file,
      `expected a header that begins with {, found ${quote(text.slice(0, 8))}; ${AGAIN}`,
    );
  }
  const header = parseJson(text, file, { maxDepth: MAX_DEPTH });
  if (!isObject(header))
    throw checkpointError(file, `expected a header with tensors, found ${describe(header)}; ${AGAIN}`);
  const start = PREFIX + bytes.length;
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") {
      checkMetadata(file, entry);
      continue;
    }
    if (!isText(name))
      throw checkpointError(
        file,
        `tensor ${quote(name)}: expected a name in Unicode, found a half character; ${AGAIN}`,
      );
    reporting(report, name, () => tensors.set(name, { ...tensorInfo(file, name, entry, start), stamp }));
  }
  checkLayout(tensors, start, place, report);
  return tensors;
}

/** Half a surrogate pair, which JavaScript takes for a text, is none in UTF-8. */
function isText(value: unknown): boolean {
  return typeof value === "string" && !/\p{Surrogate}/u.test(value);
}

/** The format allows texts only, and MLX reads no file whose metadata is something else. */
function checkMetadata(file: string, metadata: unknown): void {
  const bad = (found: string) =>
    checkpointError(file, `__metadata__: expected an object of texts, found ${found}; ${AGAIN}`);
  if (!isObject(metadata)) throw bad(describe(metadata));
  for (const [key, value] of Object.entries(metadata))
    if (!isText(key) || !isText(value)) throw bad(`${quote(key)}: ${describe(value)}`);
}

function tensorInfo(file: string, name: string, entry: unknown, start: number): Omit<TensorInfo, "stamp"> {
  const bad = (what: string, expected: string, found: unknown) =>
    checkpointError(
      file,
      `tensor ${quote(name)}: ${what}: expected ${expected}, found ${describe(found)}; ${AGAIN}`,
    );
  if (!isObject(entry)) throw bad("entry", "an object", entry);
  const dtype = typeof entry.dtype === "string" ? DTYPES.get(entry.dtype) : undefined;
  if (!dtype) throw bad("dtype", `one of ${[...DTYPES.keys()].join(", ")}`, entry.dtype);
  const shape = wholeNumbers(entry.shape);
  if (!shape || shape.some((axis) => axis > MAX_AXIS))
    throw bad("shape", `a list of at most ${MAX_RANK} whole numbers up to ${MAX_AXIS}`, entry.shape);
  const offsets = wholeNumbers(entry.data_offsets);
  const [begin, end] = offsets ?? [];
  if (begin === undefined || end === undefined || offsets?.length !== 2 || begin > end) {
    throw bad("data_offsets", "[begin, end] with begin ≤ end", entry.data_offsets);
  }
  const bytes = shape.reduce((product, n) => product * n, ITEM_SIZE[dtype]);
  if (bytes !== end - begin) {
    throw checkpointError(
      file,
      `tensor ${quote(name)}: expected ${bytes} bytes for ${dtype} [${shape.join(", ")}], found ${end - begin}; ${AGAIN}`,
    );
  }
  return { file, dtype, shape, offset: start + begin, bytes };
}

function wholeNumbers(value: unknown): number[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_RANK) return undefined;
  const numbers: number[] = [];
  for (const n of value) {
    if (!Number.isSafeInteger(n) || n < 0) return undefined;
    numbers.push(Number(n));
  }
  return numbers;
}

function checkLayout(
  tensors: ReadonlyMap<string, TensorInfo>,
  start: number,
  { file, size }: HeaderPlace,
  report: Report,
): void {
  const order = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes);
  let end = start;
  let previous = "the header";
  for (const [name, { offset, bytes }] of order) {
    if (offset !== end) {
      const flaw = offset < end ? "overlaps" : "leaves a hole after";
      report(
        checkpointError(
          file,
          `tensor ${quote(name)} ${flaw} ${previous}: expected it to begin at byte ${end}, found ${offset}; ${AGAIN}`,
        ),
        name,
      );
    }
    end = Math.max(end, offset + bytes);
    previous = quote(name);
  }
  if (end > size)
    report(checkpointError(file, `expected ${end} bytes, found ${size}: the file is cut off; ${AGAIN}`));
  if (end < size)
    report(
      checkpointError(file, `expected ${end} bytes, found ${size}: bytes after the last tensor; ${AGAIN}`),
    );
}
