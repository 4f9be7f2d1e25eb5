import { createRequire } from "node:module";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { checkpointError, describe, isObject, oneLine, quote } from "../checkpoint/json.js";
import { isThere, readText } from "../checkpoint/plain-file.js";
import type { Warning } from "../warnings.js";
import { THINK } from "./channels.js";
import { tokenizerConfig } from "./tokenizer.js";

/** One turn of a chat. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** A folder's chat template, or Gemma 4's turns where it has none. */
export interface ChatTemplate {
  /** Set when the folder has no template and Gemma 4's own turns are used. */
  readonly warning?: Warning;
  /**
   * The prompt's text, `<bos>` included where the template writes it, ending where the model's answer begins.
   *
   * @throws MlxGemmaError `checkpoint` when the template fails, takes too long or too much memory.
   */
  render(messages: readonly ChatMessage[], options?: RenderOptions): Promise<string>;
}

/** What a template is told beside the messages. */
export interface RenderOptions {
  /** Asks the model to think before it answers: `enable_thinking`. Default false. */
  readonly thinking?: boolean | undefined;
}

const MAX_TEMPLATE = 1024 * 1024;
/** Of this process' processor time: one that others keep waiting, or that sleeps for a while, refuses nothing. */
const TIME_LIMIT_MS = 2000;
const START_LIMIT_MS = 20_000;
/** A timer that is so late belongs to a process that slept. */
const LATE_MS = 1000;
const MEMORY_MB = 256;
/** Characters of a prompt: several times what the longest context holds. */
const MAX_TEXT = 8 * 1024 * 1024;

/**
 * Finds a folder's chat template: `chat_template.jinja`, else `chat_template` of tokenizer_config.json (a text, or a
 * list with one named `default`). It is rendered in a worker with bounded time and memory, since a template is a
 * program of someone else.
 *
 * @throws MlxGemmaError `checkpoint` for a template of wrong form.
 */
export function openChatTemplate(folder: string): ChatTemplate {
  const config = tokenizerConfig(folder);
  const file = join(folder, "chat_template.jinja");
  const found = isThere(file)
    ? { where: file, source: readText(file, { maxBytes: MAX_TEMPLATE }) }
    : configured(config.chatTemplate, join(folder, "tokenizer_config.json"));
  if (!found) {
    return {
      warning: {
        code: "no-chat-template",
        message: `${folder} has no chat template; Gemma 4's own turns are used (give --raw for none)`,
      },
      render: async (messages, { thinking = false } = {}) =>
        `${config.specialTokens.bos_token ?? "<bos>"}${gemmaTurns(messages, thinking)}`,
    };
  }
  if (found.source.length > MAX_TEMPLATE) {
    throw checkpointError(
      found.where,
      `expected a chat template of at most ${MAX_TEMPLATE} characters, found ${found.source.length}; download it again`,
    );
  }
  return {
    render: (messages, { thinking = false } = {}) =>
      renderInWorker(
        found.source,
        {
          ...config.specialTokens,
          messages,
          add_generation_prompt: true,
          ...(thinking ? { enable_thinking: true } : {}),
        },
        found.where,
      ),
  };
}

interface Found {
  readonly where: string;
  readonly source: string;
}

function configured(value: unknown, file: string): Found | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return { where: `${file}: chat_template`, source: value };
  if (Array.isArray(value)) {
    const entry: unknown = value.find((item) => isObject(item) && item.name === "default");
    if (isObject(entry) && typeof entry.template === "string") {
      return { where: `${file}: chat_template`, source: entry.template };
    }
    const names = value.map((item) => (isObject(item) ? describe(item.name) : describe(item))).slice(0, 8);
    throw checkpointError(
      file,
      `chat_template: expected one named "default", found ${names.join(", ") || "none"}; add it, or use --raw`,
    );
  }
  throw checkpointError(
    file,
    `chat_template: expected a text or a list, found ${describe(value)}; mend it, or use --raw`,
  );
}

/** Gemma 4's turns, for a folder without a template. */
function gemmaTurns(messages: readonly ChatMessage[], thinking: boolean): string {
  const system = messages[0]?.role === "system" ? messages[0].content : undefined;
  const turns = (system === undefined ? messages : messages.slice(1)).map(({ role, content }) => {
    return `<|turn>${role === "assistant" ? "model" : role}\n${content.trim()}<turn|>\n`;
  });
  const first = `${thinking ? `${THINK}\n` : ""}${system?.trim() ?? ""}`;
  if (thinking || system !== undefined) turns.unshift(`<|turn>system\n${first}<turn|>\n`);
  return `${turns.join("")}<|turn>model\n`;
}

/** Runs in the worker, as a script without a file of its own: so it is the same from dist/ and from the sources. */
const WORKER = `
const { parentPort, workerData } = require("node:worker_threads");
try {
  const { Template } = require(workerData.jinja);
  const text = String(new Template(workerData.source).render(workerData.context));
  parentPort.postMessage(text.length > workerData.most ? { length: text.length } : { text });
} catch (error) {
  parentPort.postMessage({ error: String((error && error.message) || error).slice(0, 1000) });
}
`;

function renderInWorker(
  source: string,
  context: Readonly<Record<string, unknown>>,
  where: string,
): Promise<string> {
  const jinja = createRequire(import.meta.url).resolve("@huggingface/jinja");
  const most = MAX_TEXT + JSON.stringify(context).length;
  const bad = (what: string) => checkpointError(where, `the chat template ${what}; mend it, or use --raw`);
  return new Promise((resolve, reject) => {
    const worker = new Worker(WORKER, {
      eval: true,
      workerData: { jinja, source, context, most },
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
    });
    let timer: NodeJS.Timeout;
    const startWithin = (due: number) => {
      timer = setTimeout(() => {
        if (performance.now() > due + LATE_MS) startWithin(performance.now() + START_LIMIT_MS);
        else settle(() => reject(bad("could not be started")));
      }, due - performance.now());
    };
    const endWithin = (ms: number, processor: number) => {
      timer = setTimeout(() => {
        const left = TIME_LIMIT_MS - (processorMs() - processor);
        if (left > 0) endWithin(Math.max(left, 50), processor);
        else
          settle(() =>
            reject(bad(`expected to end within ${TIME_LIMIT_MS / 1000} s, found it still running`)),
          );
      }, ms);
    };
    startWithin(performance.now() + START_LIMIT_MS);
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      worker.removeAllListeners();
      // What a terminated worker still reports has no listener any more, and would be thrown.
      worker.on("error", () => {});
      outcome();
      void worker.terminate();
    };
    worker.once("online", () => {
      clearTimeout(timer);
      endWithin(TIME_LIMIT_MS, processorMs());
    });
    worker.once("message", (message: unknown) => {
      const answer = isObject(message) ? message : {};
      settle(() => {
        if (typeof answer.text === "string") resolve(answer.text);
        else if (answer.length !== undefined)
          reject(bad(`expected to make at most ${most} characters, found ${String(answer.length)}`));
        else reject(bad(`fails: ${oneLine(String(answer.error))}`));
      });
    });
    worker.once("error", (error) => settle(() => reject(bad(`fails: ${quote(oneLine(error.message))}`))));
    worker.once("exit", (code) => settle(() => reject(bad(`ended its worker (code ${code})`))));
  });
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
