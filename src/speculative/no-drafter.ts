import type { Drafter } from "../drafter/drafter.js";

/** Proposes nothing: with it the loop is plain decoding. */
export const noDrafter: Drafter = {
  propose: () => ({ distributions: [] }),
  [Symbol.dispose]() {},
};
