// The completion script for fish.

import type { Flag, Tree, Value } from "./completion_tree.ts";

/** Writes it: a line for each thing that can be completed. */
export function fishCompletion({ name, flags, commands }: Tree): string {
  const line = (...parts: readonly string[]): string => ["complete", "-c", name, ...parts].join(" ");
  const first = ["-n", "__fish_use_subcommand"];
  return [
    `# Completion of ${name} for fish.`,
    line("-f"),
    ...flags.map((flag) => line(...first, ...flagParts(flag))),
    ...commands.flatMap((command) => {
      const within = ["-n", quoted(`__fish_seen_subcommand_from ${command.name}`)];
      return [
        line(...first, "-a", command.name, "-d", quoted(command.description)),
        ...command.flags.map((flag) => line(...within, ...flagParts(flag))),
        ...(command.operand.length > 0 ? [line(...within, ...candidates(command.operand))] : []),
      ];
    }),
  ].join("\n");
}

function flagParts({ names, description, value }: Flag): string[] {
  const each = names.flatMap((name) => name.startsWith("--") ? ["-l", name.slice(2)] : ["-s", name.slice(1)]);
  return [...each, ...(value === null ? [] : ["-r", ...candidates(value)]), "-d", quoted(description)];
}

function candidates(value: Value): string[] {
  if (value === "files") return ["-F"];
  if (value === "folders") return ["-f", "-a", "'(__fish_complete_directories)'"];
  return value.length > 0 ? ["-f", "-a", quoted(value.join(" "))] : ["-f"];
}

function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}
