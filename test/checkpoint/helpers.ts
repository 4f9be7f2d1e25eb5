import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { type ErrorCode, MlxGemmaError } from "../../src/errors.js";

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is gone after the test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "mlx-gemma-test-"));
  folders.push(folder);
  return folder;
}

/** A copy of a folder that a test may spoil. */
export function copyOf(folder: string): string {
  const to = join(temporaryFolder(), "copy");
  cpSync(folder, to, { recursive: true });
  return to;
}

export interface RawTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
}

const SIZES: Readonly<Record<string, number>> = { F32: 4, BF16: 2, F16: 2, I64: 8, I32: 4, U32: 4, U8: 1 };

/** Bytes of a safetensors file whose data are zeros; `header` replaces the header's text. */
export function safetensors(tensors: Readonly<Record<string, RawTensor>>, header?: string): Buffer {
  let end = 0;
  const entries = Object.entries(tensors).map(([name, { dtype, shape }]) => {
    const begin = end;
    end += shape.reduce((product, n) => product * n, SIZES[dtype] ?? 1);
    return [name, { dtype, shape, data_offsets: [begin, end] }] as const;
  });
  const text = Buffer.from(
    header ?? JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(entries) }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(end)]);
}

export function writeJson(folder: string, name: string, value: unknown): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(value));
  return file;
}

/** The error that `action` throws; it must be ours, of that code, and one line. */
export function thrown(code: ErrorCode, action: () => unknown): MlxGemmaError {
  let error: unknown;
  try {
    action();
  } catch (caught) {
    error = caught;
  }
  return checked(code, error);
}

/** As {@link thrown}, for a promise. */
export async function rejected(code: ErrorCode, promise: Promise<unknown>): Promise<MlxGemmaError> {
  return checked(
    code,
    await promise.then(
      () => undefined,
      (caught: unknown) => caught,
    ),
  );
}

function checked(code: ErrorCode, error: unknown): MlxGemmaError {
  if (!(error instanceof MlxGemmaError)) throw new Error(`expected an MlxGemmaError, found ${String(error)}`);
  expect(error.message).not.toMatch(/[\r\n]/);
  expect(`${error.code}: ${error.message}`).toMatch(new RegExp(`^${code}: `));
  return error;
}
