import { expect, it } from "vitest";
import { fromInt32 } from "../../src/mlx/array.js";
import { nativeSession, nativeTarget, tinyTarget } from "../support/tiny-target.js";

it.each([2 ** 30, 2 ** 31 - 1])(
  "a window of %d, whose double is no int, is as good as none: buffers grow by steps",
  (window) => {
    const { config, plain } = tinyTarget({ layers: ["sliding_attention"], window });
    const session = nativeSession(nativeTarget(config, plain));
    session.step(fromInt32(Int32Array.of(1, 2, 3), [1, 3]));
    expect(session.pending()[0]?.shape[2]).toBe(256);
  },
);
