import type { Expected, ShellCommand, ShellOption } from "./tree.js";

/** The script for zsh: to be sourced, or a file `_mlx-gemma` on its fpath. */
export function zshCompletion(commands: readonly ShellCommand[]): string {
  const named = (paths: readonly ShellCommand[], after: string) =>
    paths
      .filter(({ path }) => path.startsWith(after) && !path.slice(after.length).includes(" "))
      .map(({ path, description }) =>
        quoted(`${path.slice(after.length)}:${description.replaceAll(":", "\\:")}`),
      )
      .join(" ");
  return `#compdef mlx-gemma
# zsh completion of mlx-gemma; in ~/.zshrc, after compinit: source <(mlx-gemma completion zsh)
_mlx-gemma() {
  local -a names
  local command=\${words[2]}
  if (( CURRENT == 2 )); then
    names=(${named(commands, "")})
    _describe command names
    return
  fi
  shift words
  (( CURRENT-- ))
  while (( CURRENT > 2 )); do
    case "$command \${words[2]}" in
      ${commands
        .filter(({ path }) => path.includes(" "))
        .map(({ path }) => `'${path}') command='${path}'; shift words; (( CURRENT-- )) ;;`)
        .join("\n      ")}
      *) break ;;
    esac
  done
  case $command in
    ${commands.map((command) => branch(command, named(commands, `${command.path} `))).join("\n    ")}
  esac
}
if [[ $funcstack[1] == _mlx-gemma ]]; then _mlx-gemma "$@"; else compdef _mlx-gemma mlx-gemma; fi
`;
}

function branch({ path, options, argument }: ShellCommand, below: string): string {
  const subcommands =
    below === "" ? [] : [`names=(${below}); (( CURRENT == 2 )) && _describe command names; `];
  const specs = [
    ...options.map(optionSpec),
    ...(below === "" ? [quoted(`*:value:${action(argument)}`)] : []),
  ];
  return `'${path}') ${subcommands.join("")}_arguments -s ${specs.join(" ")} ;;`;
}

function optionSpec({ names, description, value }: ShellOption): string {
  const told = description.replace(/[[\]:\\]/g, "\\$&");
  const takes = value ? `:value:${action(value)}` : "";
  return names.length > 1
    ? `'(${names.join(" ")})'{${names.join(",")}}${quoted(`[${told}]${takes}`)}`
    : quoted(`${names[0]}[${told}]${takes}`);
}

function action(expected: Expected): string {
  switch (expected.type) {
    case "words":
      return `(${expected.words.join(" ")})`;
    case "path":
      return "_files";
    case "text":
      return " ";
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
