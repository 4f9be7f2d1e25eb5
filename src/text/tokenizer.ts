import { join } from "node:path";
import { checkpointError, isObject, oneLine } from "../checkpoint/json.js";
import { isThere, readJson } from "../checkpoint/plain-file.js";
import { MlxGemmaError } from "../errors.js";
import { Detokenizer, type HoldRule, type PieceDecoder, type TokenizerTraits } from "./detokenizer.js";
import { readTokenizerFile } from "./tokenizer-file.js";

const MAX_ID = 2 ** 32 - 1;

/** What is used of the `tokenizers` package, whose own types would have to compile wherever this library's do. */
interface RustTokenizer {
  encode(
    text: string,
    pair: null,
    options: { readonly addSpecialTokens: boolean },
  ): Promise<{ getIds(): number[] }>;
  idToToken(id: number): string | null;
  getDecoder(): RustDecoder | null;
  getVocabSize(withAddedTokens: boolean): number;
}

interface RustDecoder {
  decode(tokens: string[]): string;
}

/** Whether a folder has a tokenizer.json, which says nothing of what is in it. */
export function hasTokenizer(folder: string): boolean {
  return isThere(join(folder, "tokenizer.json"));
}

/**
 * A folder's tokenizer, or undefined when the folder has no tokenizer.json. The `tokenizers` package is loaded here,
 * not before.
 *
 * @throws MlxGemmaError `checkpoint` for a broken tokenizer.json or tokenizer_config.json, `unsupported` for a decoder
 * that can't be streamed, `addon` when the package can't be loaded on this machine.
 */
export async function openTokenizer(folder: string): Promise<Tokenizer | undefined> {
  if (!hasTokenizer(folder)) return undefined;
  const file = join(folder, "tokenizer.json");
  const { text, traits } = readTokenizerFile(file);
  const config = tokenizerConfig(folder);
  const { Tokenizer: Rust } = await loadPackage();
  let rust: InstanceType<typeof Rust>;
  try {
    rust = Rust.fromString(text);
    // A prompt must neither be cut nor filled up, whatever the file was saved with.
    rust.disableTruncation();
    rust.disablePadding();
  } catch (error) {
    throw checkpointError(
      file,
      `expected a tokenizer, found a mistake (${messageOf(error)}); download tokenizer.json again`,
    );
  }
  const bos = config.specialTokens.bos_token ?? "<bos>";
  return new Tokenizer(rust, traits, rust.tokenToId(bos) ?? undefined, config.addBos);
}

async function loadPackage(): Promise<typeof import("tokenizers")> {
  try {
    return await import("tokenizers");
  } catch (error) {
    throw new MlxGemmaError(
      "addon",
      `the tokenizers package can't be loaded (${messageOf(error)}); run npm ci, or give token ids with --prompt-ids`,
      { cause: error },
    );
  }
}

/** Text to ids and back. */
export class Tokenizer implements PieceDecoder {
  readonly hold: HoldRule;
  readonly leading: boolean;
  /** Of `<bos>`; undefined when the vocabulary has none. */
  readonly bosTokenId: number | undefined;
  /** Entries of the vocabulary, added tokens included. */
  readonly vocabSize: number;
  readonly #rust: RustTokenizer;
  readonly #decoder: RustDecoder | null;
  readonly #specials: ReadonlySet<string>;
  readonly #addBos: boolean;

  constructor(rust: RustTokenizer, traits: TokenizerTraits, bosTokenId: number | undefined, addBos: boolean) {
    this.#rust = rust;
    this.#decoder = rust.getDecoder();
    this.#specials = traits.specials;
    this.#addBos = addBos;
    this.hold = traits.hold;
    this.leading = traits.leading;
    this.bosTokenId = bosTokenId;
    this.vocabSize = rust.getVocabSize(true);
  }

  /** Ids of a text that a template made: special tokens in it are recognized, none are added. */
  async encode(text: string): Promise<number[]> {
    try {
      const encoding = await this.#rust.encode(text, null, { addSpecialTokens: false });
      return encoding.getIds();
    } catch (error) {
      throw new MlxGemmaError("checkpoint", `the tokenizer can't encode the prompt: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /**
   * Ids of a text without a template (`--raw`): `<bos>` is put in front, as Gemma wants it, unless the text begins
   * with it or tokenizer_config.json has `add_bos_token: false`.
   */
  async encodeRaw(text: string): Promise<number[]> {
    const ids = await this.encode(text);
    const bos = this.bosTokenId;
    return !this.#addBos || bos === undefined || ids[0] === bos ? ids : [bos, ...ids];
  }

  /** The text of ids, all at once; special tokens and ids that there are not are skipped. */
  decode(ids: Iterable<number>): string {
    const pieces: string[] = [];
    for (const id of ids) {
      const piece = this.piece(id);
      if (piece !== undefined) pieces.push(piece);
    }
    return this.join(pieces);
  }

  /** A decoder of a stream of ids. @param specialTokens gives special tokens too, as the vocabulary spells them */
  detokenizer(specialTokens = false): Detokenizer {
    if (!specialTokens) return new Detokenizer(this);
    const { hold, leading } = this;
    return new Detokenizer({
      hold,
      leading,
      piece: (id) => this.#spelling(id),
      join: (pieces) => this.join(pieces),
    });
  }

  piece(id: number): string | undefined {
    const piece = this.#spelling(id);
    return piece === undefined || this.#specials.has(piece) ? undefined : piece;
  }

  #spelling(id: number): string | undefined {
    if (!Number.isInteger(id) || id < 0 || id > MAX_ID) return undefined;
    return this.#rust.idToToken(id) ?? undefined;
  }

  join(pieces: readonly string[]): string {
    return this.#decoder ? this.#decoder.decode([...pieces]) : pieces.join(" ");
  }
}

/** What text/ reads of tokenizer_config.json. */
export interface TokenizerConfig {
  /** `bos_token`, `eos_token` and the like, which a chat template may use. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** `add_bos_token`; default true, as Gemma. */
  readonly addBos: boolean;
  /** `chat_template` as it stands. */
  readonly chatTemplate: unknown;
}

/** A folder's tokenizer_config.json; defaults when there is none. */
export function tokenizerConfig(folder: string): TokenizerConfig {
  const file = join(folder, "tokenizer_config.json");
  const json = isThere(file) ? readJson(file) : {};
  if (!isObject(json)) throw checkpointError(file, "expected a JSON object; download the file again");
  const specialTokens: Record<string, string> = {};
  for (const [key, value] of Object.entries(json)) {
    const content = isObject(value) ? value.content : value;
    if (key.endsWith("_token") && typeof content === "string") specialTokens[key] = content;
  }
  return { specialTokens, addBos: json.add_bos_token !== false, chatTemplate: json.chat_template };
}

function messageOf(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error));
}
