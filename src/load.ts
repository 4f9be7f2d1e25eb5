import {
  type AssistantCheckpoint,
  checkPair,
  type FloatDtype,
  findAssistant,
  openAssistant,
  openTarget,
} from "./checkpoint/index.js";
import type { Drafter } from "./drafter/drafter.js";
import { Gemma4Assistant } from "./drafter/gemma4-assistant.js";
import { MlxGemmaError } from "./errors.js";
import { addon } from "./mlx/addon.js";
import type { Exactness } from "./speculative/stats.js";
import { Gemma4Target } from "./target/gemma4-target.js";
import type { Target } from "./target/target.js";
import { type ChatMessage, openChatTemplate } from "./text/chat-template.js";
import { openTokenizer, type Tokenizer } from "./text/tokenizer.js";

/** What weights can be cast to. */
export const DTYPES = ["bf16", "f16", "f32"] as const;
export type DtypeName = (typeof DTYPES)[number];

const DTYPE_OF = { bf16: "bfloat16", f16: "float16", f32: "float32" } as const;

export interface LoadOptions {
  /** Folder of the target; default: the embedded tiny pair's. */
  readonly model?: string;
  /** `assistant`: the one that belongs to the target; `none` (the default); or a folder. */
  readonly draft?: string;
  /** Casts target and assistant at load; default: each checkpoint's own. */
  readonly dtype?: DtypeName;
  /** Threads of the CPU kernels; 0, the default: one for each physical core. */
  readonly threads?: number;
}

export interface EncodeOptions {
  /** Continue the text as it is, without the chat template. */
  readonly raw?: boolean;
  /** A system turn before the prompt. */
  readonly system?: string;
}

/** A loaded target, with its drafter and tokenizer where there are some. Dispose it to give the memory back. */
export interface LoadedPair extends Disposable {
  readonly target: Target;
  readonly drafter?: Drafter;
  readonly tokenizer?: Tokenizer;
  readonly eosTokenIds: readonly number[];
  /** Whether drafted text is known to be that of plain decoding on this device. */
  readonly exact: Exactness;
  /** What a user should know of what was loaded, a line each. */
  readonly warnings: readonly string[];
  /**
   * Token ids of a prompt, in the checkpoint's chat template unless `raw`.
   *
   * @throws MlxGemmaError `checkpoint` when the folder has no tokenizer or a broken template.
   */
  encodePrompt(prompt: string, options?: EncodeOptions): Promise<number[]>;
}

/**
 * Loads a target and, when asked for, its drafter. A drafter that can't be used is an error, never plain decoding.
 *
 * @throws MlxGemmaError `checkpoint`, `unsupported`, `pair`, `addon` or `native`.
 */
export async function load(options: LoadOptions = {}): Promise<LoadedPair> {
  // All files are checked before any weight is read.
  const checkpoint = openTarget(options.model);
  const draft = options.draft ?? "none";
  const assistant =
    draft === "none"
      ? undefined
      : openAssistant(draft === "assistant" ? findAssistant(checkpoint.folder) : draft);
  if (assistant) checkPair(checkpoint.config, assistant.config);
  const tokenizer = await openTokenizer(checkpoint.folder);

  const native = addon();
  native.setThreads(options.threads ?? 0);
  const dtype = options.dtype ? { dtype: DTYPE_OF[options.dtype] } : {};
  const template = tokenizer ? openChatTemplate(checkpoint.folder) : undefined;
  const target = await Gemma4Target.load(checkpoint, dtype);
  const drafter = await loadDrafter(assistant, dtype).catch((error: unknown) => {
    target[Symbol.dispose]();
    throw error;
  });

  return {
    target,
    ...(drafter ? { drafter } : {}),
    ...(tokenizer ? { tokenizer } : {}),
    eosTokenIds: checkpoint.config.eosTokenIds,
    // The CPU kernels give each row the same bits in any block; MLX's own operations promise nothing.
    exact: native.kernels() === "mlx" ? "unknown" : "by construction",
    warnings: template?.warning ? [template.warning] : [],
    async encodePrompt(prompt, { raw = false, system } = {}) {
      if (!tokenizer || !template) {
        throw new MlxGemmaError(
          "checkpoint",
          `${checkpoint.folder} has no tokenizer.json to read a prompt with; copy it there, or give --prompt-ids`,
        );
      }
      if (raw) return tokenizer.encodeRaw(prompt);
      const messages: ChatMessage[] = [{ role: "user", content: prompt }];
      if (system !== undefined) messages.unshift({ role: "system", content: system });
      return tokenizer.encode(await template.render(messages));
    },
    [Symbol.dispose]() {
      drafter?.[Symbol.dispose]();
      target[Symbol.dispose]();
    },
  };
}

async function loadDrafter(
  assistant: AssistantCheckpoint | undefined,
  options: { readonly dtype?: FloatDtype },
): Promise<Drafter | undefined> {
  return assistant && Gemma4Assistant.load(assistant, options);
}
