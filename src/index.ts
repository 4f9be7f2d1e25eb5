/**
 * mlx-gemma as a library: `load` a target with its assistant, `generate` an async iterator of events.
 *
 * @packageDocumentation
 */
export {
  type AnswerOptions,
  Conversation,
  type ConversationEvent,
  type ConversationOptions,
} from "./chat/conversation.js";
export type { HubProgress, PlannedFile } from "./checkpoint/hub/progress.js";
export { type ErrorCode, MlxGemmaError } from "./errors.js";
export {
  type GenerationEvent,
  generate,
  type StopReason,
  type TextPiece,
  type TracedRound,
} from "./generate.js";
export { type LoadedPair, load } from "./load.js";
export {
  DEFAULTS,
  DTYPES,
  type DtypeName,
  type EncodeChatOptions,
  type EncodeOptions,
  type GenerateOptions,
  type LoadOptions,
  MAX_DRAFT_TOKENS,
} from "./options.js";
export { PromptCache } from "./prompt-cache.js";
export type { Probabilities, TokenProbability } from "./speculative/probabilities.js";
export type { RoundTimes } from "./speculative/round.js";
export type { SamplingOptions } from "./speculative/sampling.js";
export type { Exactness, GenerationStats } from "./speculative/stats.js";
export type { ChannelPiece } from "./text/channels.js";
export type { ChatMessage } from "./text/chat-template.js";
export { type Strictness, WARNING_CODES, type Warning, type WarningCode } from "./warnings.js";
