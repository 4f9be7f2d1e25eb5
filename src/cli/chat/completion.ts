import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { userHome } from "../../user-home.js";
import { forTerminal } from "../ui/terminal-text.js";
import { COMMANDS } from "./commands.js";

/** For readline: what the line may become, and the part of it that is completed. A tab elsewhere is a tab. */
export function complete(line: string): [string[], string] {
  if (!line.startsWith("/")) return [["\t"], ""];
  const [, name = "", space, argument = ""] = /^\/(\S*)(\s+)?(.*)$/.exec(line) ?? [];
  if (space === undefined) {
    const names = COMMANDS.filter((command) => command.name.startsWith(name));
    return [names.map((command) => `/${command.name}${command.argument === undefined ? "" : " "}`), line];
  }
  const command = COMMANDS.find((known) => known.name === name);
  if (command?.file) return [files(argument), argument];
  return [(command?.values ?? []).filter((value) => value.startsWith(argument)), argument];
}

/** Paths that begin as this one; folders with a slash. Names that would steer the terminal are left out. */
function files(beginning: string): string[] {
  const folder = beginning.endsWith("/")
    ? beginning
    : beginning.includes("/")
      ? `${dirname(beginning)}/`
      : "";
  try {
    return readdirSync(join(folder.replace(/^~(?=\/)/, (tilde) => userHome() ?? tilde) || "."), {
      withFileTypes: true,
    })
      .map((entry) => `${folder === "//" ? "/" : folder}${entry.name}${entry.isDirectory() ? "/" : ""}`)
      .filter((path) => path.startsWith(beginning) && path === forTerminal(path))
      .sort();
  } catch {
    return [];
  }
}
