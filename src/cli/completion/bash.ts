import type { Expected, ShellCommand } from "./tree.js";

/** The script for bash, of 3.2 on, as macOS has it. */
export function bashCompletion(commands: readonly ShellCommand[]): string {
  const top = commands.filter(({ path }) => !path.includes(" ")).map(({ path }) => path);
  const values = commands.flatMap(({ path, options }) =>
    options.flatMap(({ names, value }) =>
      value ? [`${names.map((name) => `'${path} ${name}'`).join(" | ")}) ${offer(value)} ;;`] : [],
    ),
  );
  // Those of `models rm` before those of `models`, whose pattern holds them too.
  const longest = commands.toSorted((a, b) => b.path.length - a.path.length);
  const words = longest.flatMap(({ path, options, subcommands, argument }) => {
    const dashed = options.flatMap(({ names }) => names.filter((name) => name.startsWith("--")));
    const bare = subcommands.length > 0 ? ({ type: "words", words: subcommands } as const) : argument;
    return [`'${path} -'*) words='${dashed.join(" ")}' ;;`, `'${path} '*) ${offer(bare)} ;;`];
  });
  return `# bash completion of mlx-gemma; in ~/.bashrc: eval "$(mlx-gemma completion bash)"
_mlx_gemma() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command= words= paths= i
  # bash takes --name=value for three words.
  [[ $word == '=' ]] && word=
  [[ $before == '=' ]] && before=\${COMP_WORDS[COMP_CWORD-2]}
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command \${COMP_WORDS[i]}" in
      ${commands.map(({ path }) => `'${path.includes(" ") ? path : ` ${path}`}') command='${path}' ;;`).join("\n      ")}
    esac
  done
  case "$command $before" in
    ${values.join("\n    ")}
    *) case "$command $word" in
      ' -'*) words='--help --version' ;;
      ' '*) words='${top.join(" ")}' ;;
      ${words.join("\n      ")}
    esac ;;
  esac
  local IFS=$'\\n'
  if [[ $paths ]]; then
    compopt -o filenames 2> /dev/null
    COMPREPLY=($(compgen -f -- "$word"))
  else
    COMPREPLY=($(compgen -W "\${words// /$IFS}" -- "$word"))
  fi
}
complete -F _mlx_gemma mlx-gemma
`;
}

function offer(expected: Expected): string {
  switch (expected.type) {
    case "words":
      return `words='${expected.words.join(" ")}'`;
    case "path":
      return "paths=1";
    case "text":
      return ":";
  }
}
