/** A text that someone else chose, without what would steer the terminal: newlines and tabs are all that stays. */
export function forTerminal(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "\ufffd");
}

/** The same text for a stream: a terminal is not steered by it, everything else gets it as it is. */
export function shownOn(stream: { readonly isTTY?: boolean }, text: string): string {
  return stream.isTTY ? forTerminal(text) : text;
}

/** A name out of a file, whole, with what could move the cursor or hide text written as an escape. */
export function printableName(name: string): string {
  return name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}
