import { userHome } from "../../user-home.js";

/** A text with the user's folder as `~`, as a shell shows it. */
export function withShortHome(text: string): string {
  const home = userHome() ?? "";
  if (home.length < 2) return text;
  return text
    .split(home)
    .reduce((before, after) => `${before}${/^($|[^\w.-])/.test(after) ? "~" : home}${after}`);
}
