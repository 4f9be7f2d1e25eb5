import { ITEM_SIZE } from "../checkpoint/dtypes.js";
import { WEIGHTS } from "../checkpoint/file-names.js";
import type { StoredDtype } from "../checkpoint/types.js";
import type { Job, OutputTensor } from "./plan.js";

/** The most bytes of tensors in one file: what mlx-lm and mlx-vlm write. A larger tensor has a file of its own. */
export const SHARD_BYTES = 5 * 2 ** 30;

/** One file of the output: its header, and where each tensor lies. */
export interface Shard {
  readonly name: string;
  /** Length, JSON and padding: all before the tensors. */
  readonly header: Buffer;
  /** From the beginning of the file, by tensor name. */
  readonly offsets: ReadonlyMap<string, number>;
  readonly jobs: readonly Job[];
  readonly bytes: number;
}

const NAMES: Readonly<Record<StoredDtype, string>> = {
  bfloat16: "BF16",
  float16: "F16",
  float32: "F32",
  float64: "F64",
  int8: "I8",
  int16: "I16",
  int32: "I32",
  int64: "I64",
  uint8: "U8",
  uint16: "U16",
  uint32: "U32",
  uint64: "U64",
  bool: "BOOL",
  float8_e4m3: "F8_E4M3",
  float8_e5m2: "F8_E5M2",
};

/** Spreads the jobs over files, in their order; a module's tensors stay together. */
export function layOut(jobs: readonly Job[], limit = SHARD_BYTES): Shard[] {
  const groups: Job[][] = [];
  let room = 0;
  for (const job of jobs) {
    const bytes = bytesOf(job);
    const last = groups.at(-1);
    if (last && bytes <= room) last.push(job);
    else {
      groups.push([job]);
      room = limit;
    }
    room -= bytes;
  }
  const number = (n: number) => String(n).padStart(5, "0");
  return groups.map((group, index) => {
    const name =
      groups.length === 1 ? WEIGHTS : `model-${number(index + 1)}-of-${number(groups.length)}.safetensors`;
    return shardOf(name, group);
  });
}

/** `model.safetensors.index.json`, which mlx-lm and mlx-vlm write for a single file too. */
export function indexOf(shards: readonly Shard[], parameters: number): string {
  const places = shards.flatMap(({ name, offsets }) =>
    [...offsets.keys()].map((tensor) => [tensor, name] as const),
  );
  places.sort(([a], [b]) => (a < b ? -1 : 1));
  const total = shards.flatMap(({ jobs }) => jobs).reduce((sum, job) => sum + bytesOf(job), 0);
  const index = {
    metadata: { total_size: total, total_parameters: parameters },
    weight_map: Object.fromEntries(places),
  };
  return `${JSON.stringify(index, null, 4)}\n`;
}

function bytesOf({ outputs }: Job): number {
  return outputs.reduce((sum, { bytes }) => sum + bytes, 0);
}

function shardOf(name: string, jobs: readonly Job[]): Shard {
  // The widest elements first: each tensor then lies at a multiple of its element's size, for readers that map files.
  const tensors = jobs.flatMap(({ outputs }) => outputs);
  tensors.sort((a, b) => ITEM_SIZE[b.dtype] - ITEM_SIZE[a.dtype]);
  const entries: Record<string, unknown> = { __metadata__: { format: "mlx" } };
  const begins = new Map<string, number>();
  let end = 0;
  for (const tensor of tensors) {
    begins.set(tensor.name, end);
    entries[tensor.name] = entry(tensor, end);
    end += tensor.bytes;
  }
  const text = JSON.stringify(entries);
  const length = Math.ceil(Buffer.byteLength(text) / 8) * 8;
  const header = Buffer.alloc(8 + length, " ");
  header.writeBigUInt64LE(BigInt(length));
  header.write(text, 8);
  const offsets = new Map([...begins].map(([tensor, begin]) => [tensor, header.length + begin]));
  return { name, header, offsets, jobs, bytes: header.length + end };
}

function entry({ dtype, shape, bytes }: OutputTensor, begin: number): unknown {
  return { dtype: NAMES[dtype], shape, data_offsets: [begin, begin + bytes] };
}
