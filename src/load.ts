import { checkMessages, checkOptions, checkPrompt } from "./check-options.js";
import { locateCheckpoint, openTarget } from "./checkpoint/index.js";
import type { FoundAssistant } from "./checkpoint/locate.js";
import type { TargetConfig } from "./checkpoint/types.js";
import { chooseAssistant } from "./choose-assistant.js";
import type { Drafter } from "./drafter/drafter.js";
import { MlxGemmaError, throwIfAborted } from "./errors.js";
import { loadParts } from "./load-parts.js";
import { addon } from "./mlx/addon.js";
import {
  DTYPES,
  type EncodeChatOptions,
  type EncodeOptions,
  type LoadOptions,
  MAX_THREADS,
} from "./options.js";
import { exactnessOf } from "./speculative/exactness.js";
import type { Exactness } from "./speculative/stats.js";
import type { Target } from "./target/target.js";
import { withoutThoughts } from "./text/channels.js";
import type { ChatMessage } from "./text/chat-template.js";
import { refuseMediaText } from "./text/media.js";
import { hasTokenizer, type Tokenizer } from "./text/tokenizer.js";
import { checkAllowed, refuseWarnings, type Warning } from "./warnings.js";
import { requireMemory } from "./weights-memory.js";

/** Names of element types, as MLX has them. */
export const DTYPE_OF = { bf16: "bfloat16", f16: "float16", f32: "float32" } as const;

/** A loaded target, with its drafter and tokenizer where there are some. Dispose it to give the memory back. */
export interface LoadedPair extends Disposable {
  readonly target: Target;
  readonly drafter?: Drafter;
  readonly tokenizer?: Tokenizer;
  readonly eosTokenIds: readonly number[];
  /** Ids that stand for an image, sound or video in a prompt: they are refused. */
  readonly mediaTokenIds?: TargetConfig["mediaTokenIds"];
  /** Which assistant `draft: "assistant"` or `"auto"` took, and why. */
  readonly assistant?: FoundAssistant;
  /** Whether drafted text is that of plain decoding on this device. */
  readonly exact: Exactness;
  /** What of the pair makes drafting, or answers, worse than asked. Those of a generation come with its `end` event. */
  readonly warnings: readonly Warning[];
  /**
   * Token ids of a prompt, in the checkpoint's chat template unless `raw`.
   *
   * @throws MlxGemmaError `checkpoint` when the folder has no tokenizer or a broken template, `usage` for a prompt that
   * asks for an image, sound or video, `disposed`.
   */
  encodePrompt(prompt: string, options?: EncodeOptions): Promise<number[]>;
  /**
   * Token ids of a chat in the checkpoint's template, up to where the next answer begins. Thoughts in the model's
   * messages are left out, as Gemma 4 wants it.
   *
   * @throws MlxGemmaError as `encodePrompt`
   */
  encodeChat(messages: readonly ChatMessage[], options?: EncodeChatOptions): Promise<number[]>;
}

/**
 * Loads a target and, when asked for, its drafter, from folders or the hub. A drafter that can't be used is an error;
 * with `draft: "auto"` it is plain decoding, and a warning says why.
 *
 * @throws MlxGemmaError `checkpoint`, `unsupported` (also for `requireExact` where it can't be), `pair`, `addon`,
 * `native` or `aborted`; `memory` for weights that can't fit; `hub` or `disk` for a repository that can't be had; `usage` for an option out of range;
 * `strict` for a warning where it is asked for.
 */
export async function load(options: LoadOptions = {}): Promise<LoadedPair> {
  const { signal } = options;
  checkOptions("load", options);
  checkValues(options);
  const { offline, onDownload } = options;
  const hub = {
    ...(offline === undefined ? {} : { offline }),
    ...(onDownload ? { onProgress: onDownload } : {}),
    ...(signal ? { signal } : {}),
  };
  // What can be checked without parsing a tokenizer is, before any weight is read.
  const checkpoint = openTarget(
    await locateCheckpoint(options.model, { ...hub, revision: options.revision }),
  );
  const dtype = options.dtype && DTYPE_OF[options.dtype];
  const { assistant, found, ...chosen } = await chooseAssistant(checkpoint, options.draft ?? "none", {
    ...hub,
    dtype,
  });
  const warnings = [...checkpoint.warnings, ...chosen.warnings];
  if (!hasTokenizer(checkpoint.folder)) warnings.push(noTokenizer(checkpoint.folder));
  refuseWarnings(warnings, options);
  const spare = requireMemory(assistant ? [checkpoint, assistant] : [checkpoint], dtype);
  const native = addon();
  if (options.threads !== undefined) native.setThreads(options.threads);
  const { target, drafter, tokenizer, template } = await loadParts(checkpoint, assistant, {
    dtype,
    signal,
    spare,
    onText({ template }) {
      if (!template?.warning) return;
      warnings.push(template.warning);
      refuseWarnings(warnings, options);
    },
  });
  const release = () => {
    drafter?.[Symbol.dispose]();
    target[Symbol.dispose]();
  };
  let exact: Exactness;
  try {
    exact = await exactnessOf(target, {
      kernels: native.kernels(),
      drafting: drafter !== undefined,
      required: options.requireExact === true,
      signal,
    });
    if (exact === "not exact") warnings.push(NOT_EXACT);
    refuseWarnings(warnings, options);
    throwIfAborted(signal, "loading was aborted");
  } catch (error) {
    release();
    throw error;
  }
  let disposed = false;
  const text = () => {
    if (disposed) throw new MlxGemmaError("disposed", "the pair is disposed");
    if (tokenizer && template) return { tokenizer, template };
    throw new MlxGemmaError(
      "checkpoint",
      `${checkpoint.folder} has no tokenizer.json to read a prompt with; copy it there, or give --prompt-ids`,
    );
  };
  const encodeChat = async (messages: readonly ChatMessage[], options: EncodeChatOptions = {}) => {
    checkMessages(messages);
    checkOptions("encodeChat", options);
    const { tokenizer, template } = text();
    for (const { content } of messages) refuseMediaText(content);
    const turns = messages.map(({ role, content }) => ({
      role,
      content: role === "assistant" ? withoutThoughts(content) : content,
    }));
    return tokenizer.encode(await template.render(turns, options));
  };

  return {
    target,
    ...(drafter ? { drafter } : {}),
    ...(tokenizer ? { tokenizer } : {}),
    eosTokenIds: checkpoint.config.eosTokenIds,
    mediaTokenIds: checkpoint.config.mediaTokenIds,
    ...(found ? { assistant: found } : {}),
    exact,
    warnings,
    async encodePrompt(prompt, options = {}) {
      checkPrompt(prompt);
      checkOptions("encodePrompt", options);
      const { raw = false, system } = options;
      if (!raw) {
        const turns: ChatMessage[] = [{ role: "user", content: prompt }];
        return encodeChat(system === undefined ? turns : [{ role: "system", content: system }, ...turns]);
      }
      const { tokenizer } = text();
      refuseMediaText(prompt);
      return tokenizer.encodeRaw(prompt);
    },
    encodeChat,
    [Symbol.dispose]() {
      disposed = true;
      release();
    },
  };
}

const NOT_EXACT: Warning = {
  code: "not-exact",
  message:
    "rows of a block have other bits than single ones here: drafted text may differ from plain text; --draft none gives plain text, MLX_GEMMA_STEP_ROWS=8 may make them equal (docs/setup.md)",
};

function noTokenizer(folder: string): Warning {
  return {
    code: "no-tokenizer",
    message: `${folder} has no tokenizer.json: answers are token ids, without text; copy it there`,
  };
}

/** What TypeScript can't hold a JavaScript caller to. */
function checkValues({ dtype, threads = 0, allow }: LoadOptions): void {
  checkAllowed(allow);
  if (dtype !== undefined && !DTYPES.includes(dtype)) {
    throw new MlxGemmaError("usage", `dtype must be one of ${DTYPES.join(", ")}; got ${String(dtype)}`);
  }
  if (!Number.isInteger(threads) || threads < 0 || threads > MAX_THREADS) {
    throw new MlxGemmaError(
      "usage",
      `threads must be a whole number from 0 to ${MAX_THREADS}; got ${threads}`,
    );
  }
}
