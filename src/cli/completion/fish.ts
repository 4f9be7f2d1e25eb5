import type { Expected, ShellCommand } from "./tree.js";

/** The script for fish. */
export function fishCompletion(commands: readonly ShellCommand[]): string {
  const lines = commands.flatMap((command) => [
    nameLine(command),
    ...argumentLines(command),
    ...optionLines(command),
  ]);
  return `# fish completion of mlx-gemma; in config.fish: mlx-gemma completion fish | source
complete -c mlx-gemma -f
complete -c mlx-gemma -n __fish_use_subcommand -s h -l help -d 'show the help'
complete -c mlx-gemma -n __fish_use_subcommand -s V -l version -d 'show versions'
${lines.join("\n")}
`;
}

function nameLine({ path, description }: ShellCommand): string {
  const [name = "", ...above] = path.split(" ").reverse();
  const where = above.length > 0 ? seen(above.reverse()) : "__fish_use_subcommand";
  return `complete -c mlx-gemma -n '${where}' -a ${name} -d ${quoted(description)}`;
}

function argumentLines({ path, argument }: ShellCommand): string[] {
  const values = valueArguments(argument);
  return values === "" ? [] : [`complete -c mlx-gemma -n '${seen(path.split(" "))}'${values}`];
}

function optionLines({ path, options }: ShellCommand): string[] {
  return options.map(({ names, description, value }) => {
    const spelled = names.map((name) =>
      name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
    );
    // With -x no files are offered beside.
    const takes = value ? ` ${value.type === "path" ? "-r" : "-x"}${valueArguments(value)}` : "";
    return `complete -c mlx-gemma -n '${seen(path.split(" "))}' ${spelled.join(" ")}${takes} -d ${quoted(description)}`;
  });
}

function seen(names: readonly string[]): string {
  return names.map((name) => `__fish_seen_subcommand_from ${name}`).join("; and ");
}

function valueArguments(expected: Expected): string {
  switch (expected.type) {
    case "words":
      return ` -a ${quoted(expected.words.join(" "))}`;
    case "path":
      return " -F";
    case "text":
      return "";
  }
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
