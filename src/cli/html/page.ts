import { createHash } from "node:crypto";
import { html, Markup } from "./markup.js";
import { SCRIPT } from "./script.js";
import { STYLE } from "./style.js";

/**
 * A whole page in one file. Its policy lets the browser load nothing and run nothing but the page's own script, whatever
 * stands in the text of a model.
 */
export function page(title: string, body: Markup): string {
  const policy = `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}`;
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<main>
${body}
</main>
<script>${new Markup(SCRIPT)}</script>
</body>
</html>
`.source;
}

function hashOf(source: string): string {
  return `'sha256-${createHash("sha256").update(source).digest("base64")}'`;
}

/** A part of a page, with what its figures say in a sentence. */
export function section(title: string, note: string, content: Markup | readonly Markup[]): Markup {
  return html`<section>
<h2>${title}</h2>
<p class="note">${note}</p>
${content}
</section>`;
}
