// A command line that cannot be understood: what a person probably meant.

import { CommanderError, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { nearestName } from "../options/nearest.ts";

/**
 * The error with a better message, where there is one. Commander looks for flags that are missing before it looks at
 * those that it does not know: a misspelt flag that had to be given is therefore looked for here.
 *
 * @param typed the program's arguments
 */
export function explained(
  error: CommanderError,
  command: CommandUnknownOpts,
  typed: readonly string[],
): CommanderError {
  const message = explanation(error, command, typed);
  return message === null ? error : new CommanderError(error.exitCode, error.code, message);
}

function explanation(
  { code, message }: CommanderError,
  command: CommandUnknownOpts,
  typed: readonly string[],
): string | null {
  if (code === "commander.unknownOption" || code === "commander.missingMandatoryOptionValue") {
    const flag = unknownFlag(command, typed);
    if (flag !== undefined) return unknown("option", flag, flagsOf(command), command);
  }
  if (code === "commander.missingMandatoryOptionValue" || code === "commander.missingArgument") {
    return `${message}: "${pathOf(command)} --help" has examples`;
  }
  if (code === "commander.unknownCommand") {
    return unknown("command", command.args[0] ?? "", command.commands.map((each) => each.name()), command);
  }
  const [, value, choices] = /'([^']*)' is invalid.* Allowed choices are (.*)\.$/s.exec(message) ?? [];
  const near = value !== undefined && choices !== undefined ? nearestName(value, choices.split(", ")) : undefined;
  return near === undefined ? null : `${message} Did you mean ${near}?`;
}

function unknown(what: string, name: string, known: readonly string[], command: CommandUnknownOpts): string {
  const near = nearestName(name, known);
  return `unknown ${what} '${name}': ${
    near === undefined ? `"${pathOf(command)} --help" lists them` : `did you mean ${near}?`
  }`;
}

// What is left in `args` are words and flags that nobody took; behind -- everything is a word.
function unknownFlag(command: CommandUnknownOpts, typed: readonly string[]): string | undefined {
  const end = typed.indexOf("--");
  const flags = new Set(end < 0 ? typed : typed.slice(0, end));
  return command.args.find((arg) => /^--?[a-z]/i.test(arg) && flags.has(arg))?.replace(/=.*/s, "");
}

function flagsOf(command: CommandUnknownOpts): string[] {
  return command.createHelp().visibleOptions(command).flatMap(({ long }) => long ?? []);
}

function pathOf(command: CommandUnknownOpts): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
