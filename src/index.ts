/**
 * mlx-gemma as a library: `load` a target with its assistant, `generate` an async iterator of events.
 *
 * @packageDocumentation
 */
export { type ErrorCode, MlxGemmaError } from "./errors.js";
export {
  type GenerateOptions,
  type GenerationEvent,
  generate,
  MAX_DRAFT_TOKENS,
  type StopReason,
  type TextPiece,
} from "./generate.js";
export {
  DTYPES,
  type DtypeName,
  type EncodeOptions,
  type LoadedPair,
  type LoadOptions,
  load,
} from "./load.js";
export type { SamplingOptions } from "./speculative/sampling.js";
export type { Exactness, GenerationStats } from "./speculative/stats.js";
