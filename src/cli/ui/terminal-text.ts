/** A text that someone else chose, without what would steer the terminal: newlines and tabs are all that stays. */
export function forTerminal(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "\ufffd");
}
