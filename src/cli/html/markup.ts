/** HTML that may stand in a page as it is. Made by {@link html} alone. */
export class Markup {
  constructor(readonly source: string) {}
}

/** What {@link html} takes between its pieces: text and numbers are escaped, lists are joined. */
export type Part = Markup | string | number | undefined | readonly Part[];

/** A template of HTML. Whatever is put into it is text, unless it was made by a template itself. */
export function html(pieces: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(pieces.map((piece, index) => piece + sourceOf(parts[index])).join(""));
}

function sourceOf(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Markup) return part.source;
  if (typeof part === "string" || typeof part === "number") return escapeHtml(String(part));
  return part.map(sourceOf).join("");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
