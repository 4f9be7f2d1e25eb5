import type { NativeQuantization } from "../../src/mlx/native.js";
import { randoms } from "../target/helpers.js";
import { packedTensor } from "./packed.js";
import { floatTensor, type StoredTensor } from "./tensors.js";

/** How a module is packed; undefined: it is not. */
export type Packing = (module: string) => NativeQuantization | undefined;

/** Size of a projection's values: big enough that a layer changes its input, and no softmax is one-hot. */
export const PROJECTION = 1 / 8;

/** Makes random tensors, every value of which any dtype holds exactly: as they are stored, and as floats. */
export class TinyWriter {
  readonly stored = new Map<string, StoredTensor>();
  /** The same values without packing. */
  readonly plain = new Map<string, StoredTensor>();
  /** What was packed, by module. */
  readonly quantization: Record<string, NativeQuantization> = {};
  readonly #random: (bound: number) => number;

  constructor(
    readonly packing: Packing = () => undefined,
    seed = 1,
  ) {
    this.#random = randoms(seed);
  }

  /** Values in [centre - 1/2, centre + 1/2). */
  vector(name: string, size: number, centre: number): void {
    const values = Float32Array.from({ length: size }, () => centre + (this.#random(64) - 32) / 64);
    this.tensor(name, floatTensor(values, [size]));
  }

  /** A module's weight: values in (-size, size), or packed ones in about [-1/2, 1/2]. */
  matrix(module: string, shape: readonly number[], size: number): void {
    const name = `${module}.weight`;
    const how = this.packing(module);
    if (!how) {
      this.floats(name, shape, size);
      return;
    }
    const packed = packedTensor(shape, how, this.#random);
    this.quantization[module] = how;
    this.stored.set(name, packed.weight);
    this.stored.set(`${module}.scales`, packed.scales);
    if (packed.biases) this.stored.set(`${module}.biases`, packed.biases);
    this.plain.set(name, packed.values);
  }

  /** Values in (-size, size), never packed. */
  floats(name: string, shape: readonly number[], size: number): void {
    const length = shape.reduce((product, axis) => product * axis, 1);
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = ((this.#random(255) - 127) / 128) * size;
    this.tensor(name, floatTensor(values, shape));
  }

  tensor(name: string, tensor: StoredTensor): void {
    this.stored.set(name, tensor);
    this.plain.set(name, tensor);
  }
}
