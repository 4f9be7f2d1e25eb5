import { MlxGemmaError } from "../errors.js";

/** What a prompt of a multimodal Gemma can hold beside text, by the token that stands for it in the text. */
const MEDIA: ReadonlyMap<string, string> = new Map([
  ["<|image|>", "an image"],
  ["<|audio|>", "a sound"],
  ["<|video|>", "a video"],
]);
const KINDS = { image: "an image", audio: "a sound", video: "a video" } as const;

/** Ids that stand for an image, sound or video, as far as the checkpoint names them. */
export type MediaTokenIds = { readonly [kind in keyof typeof KINDS]?: number };

/**
 * Refuses a text that asks for more than text: the model would read the placeholder's embedding instead.
 *
 * @throws MlxGemmaError `usage`
 */
export function refuseMediaText(text: string): void {
  for (const [token, what] of MEDIA) {
    if (text.includes(token)) throw refusal(`${what} (${token})`);
  }
}

/** As {@link refuseMediaText}, for token ids. */
export function refuseMediaTokens(ids: readonly number[], media: MediaTokenIds): void {
  for (const kind of ["image", "audio", "video"] as const) {
    const id = media[kind];
    if (id !== undefined && ids.includes(id)) throw refusal(`${KINDS[kind]} (token id ${id})`);
  }
}

function refusal(what: string): MlxGemmaError {
  return new MlxGemmaError(
    "usage",
    `the prompt asks for ${what}, and this version of mlx-gemma reads text alone; take it out of the prompt`,
  );
}
