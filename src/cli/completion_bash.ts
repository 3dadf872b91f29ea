// The completion script for bash.

import type { Flag, Tree, Value } from "./completion_tree.ts";

/** Writes it. A value that cannot be completed gets no answer, and so no names of files either. */
export function bashCompletion({ name, flags, commands }: Tree): string {
  const ofCommands = commands.map((command) => [
    `    ${command.name}) flags='${names(command.flags)}'; ${answer(command.operand)} ;;`,
  ]);
  const ofValues = commands.flatMap((command) => command.flags.flatMap((flag) => valueCase(command.name, flag)));
  return `# Completion of ${name} for bash.
_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command= index
  # A flag, = and its value are three words.
  if [[ $current == = ]]; then current=
  elif [[ $before == = ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((index = 1; index < COMP_CWORD; index++)); do
    if [[ \${COMP_WORDS[index]} != -* ]]; then command=\${COMP_WORDS[index]}; break; fi
  done
  local words places= flags
  case $command in
    '') flags='${names(flags)}'; words='${commands.map((command) => command.name).join(" ")}' ;;
${ofCommands.join("\n")}
  esac
  if [[ $current == -* || -z $words$places ]]; then words=$flags places=; fi
  case "$command $before" in
${ofValues.join("\n")}
  esac
  if [[ -n $places ]]; then compopt -o "$places"; fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _${name} ${name}`;
}

function valueCase(command: string, { names, value }: Flag): string[] {
  if (value === null) return [];
  const patterns = names.map((each) => `'${command} ${each}'`).join("|");
  return [`    ${patterns}) ${answer(value)} ;;`];
}

// Bash itself completes names of places where there are no words.
function answer(value: Value): string {
  if (typeof value === "string") return `words= places=${value === "files" ? "default" : "dirnames"}`;
  return `words='${value.join(" ")}' places=`;
}

function names(flags: readonly Flag[]): string {
  return flags.flatMap((flag) => flag.names).filter((each) => each.startsWith("--")).join(" ");
}
