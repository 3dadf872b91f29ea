// The completion script for zsh.

import type { Branch, Flag, Tree, Value } from "./completion_tree.ts";

/** Writes it: for a folder in `fpath`, or to be read by `source`. */
export function zshCompletion({ name, flags, commands }: Tree): string {
  return `#compdef ${name}
_${name}() {
  local context state line
  local -a commands=(
${commands.map((command) => `    ${quoted(`${escaped(command.name)}:${command.description}`)}`).join("\n")}
  )
  _arguments -C ${flags.map(flagSpecification).join(" ")} '1: :->command' '*:: :->rest' && return
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
${commands.map(commandCase).join("\n")}
      esac
  esac
}
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi`;
}

function commandCase({ name, flags, operand }: Branch): string {
  // A message where nothing can be completed would keep a flag from being put in.
  const operands = operand.length === 0 ? [] : [quoted(`*: :${action(operand)}`)];
  const parts = [`        ${name}) _arguments`, ...flags.map(flagSpecification), ...operands];
  return parts.join(" \\\n          ") + " ;;";
}

function flagSpecification({ names, description, placeholder, value }: Flag): string {
  const others = names.length > 1 ? quoted(`(${names.join(" ")})`) : "";
  const told = `[${description.replaceAll(/[\\[\]]/g, "\\$&")}]`;
  const rest = value === null ? told : `${told}:${escaped(placeholder)}:${action(value)}`;
  // A long flag's value may follow an = too.
  const each = names.map((each) => value !== null && each.startsWith("--") ? `${each}=` : each);
  return others + (each.length > 1 ? `{${each.join(",")}}` : each.join()) + quoted(rest);
}

function action(value: Value): string {
  if (typeof value === "string") return value === "files" ? "_files" : "_files -/";
  return value.length > 0 ? `(${value.join(" ")})` : " ";
}

function escaped(text: string): string {
  return text.replaceAll(/[\\:]/g, "\\$&");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
