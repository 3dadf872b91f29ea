// What can be completed: the commands, their flags, and the values of both, read from the commands themselves.

import type { CommandUnknownOpts, Option } from "npm:@commander-js/extra-typings@15.1.0";
import { glueTasks } from "../data/glue/tasks.ts";
import { modelConfigs } from "../experiments/model_configs.ts";
import { weightMethods } from "../methods/registry.ts";

/** What a value can be: one of some words (of none: it cannot be completed), or a name of what is on this machine. */
export type Value = readonly string[] | "files" | "folders";

/** A flag; without a value it is a switch. */
export interface Flag {
  readonly names: readonly string[];
  readonly description: string;
  /** What its help text calls the value. */
  readonly placeholder: string;
  readonly value: Value | null;
}

/** A command; `operand` is what it takes besides flags. */
export interface Branch {
  readonly name: string;
  readonly description: string;
  readonly flags: readonly Flag[];
  readonly operand: Value;
}

/** The program. */
export interface Tree {
  readonly name: string;
  readonly flags: readonly Flag[];
  readonly commands: readonly Branch[];
}

const nothing: Value = [];

// What help texts call a value says what it can be.
const values: Readonly<Record<string, Value>> = {
  file: "files",
  python: "files",
  dir: "folders",
  model: "folders",
  run: "folders",
  device: ["cpu", "cuda"],
  task: glueTasks.map(({ name }) => name),
  method: ["selective", "freeze", ...weightMethods.map(({ name }) => name), "selective+freeze", "selective+lora"],
  config: Object.keys(modelConfigs),
};

/** Reads the program's commands. */
export function completionTree(program: CommandUnknownOpts): Tree {
  const help = program.createHelp();
  const commands = help.visibleCommands(program).map((command) => ({
    name: command.name(),
    description: command.description() || "show help",
    flags: command.name() === "help" ? [] : flagsOf(command),
    operand: command.name() === "help" ? program.commands.map((each) => each.name()) : operandOf(command),
  }));
  return { name: program.name(), flags: flagsOf(program), commands };
}

function flagsOf(command: CommandUnknownOpts): Flag[] {
  return command.createHelp().visibleOptions(command).map(flagOf);
}

function flagOf({ short, long, description, flags, argChoices }: Option): Flag {
  const names = [short, long].filter((name) => name !== undefined);
  const placeholder = /[<[]([^>\]]*)[>\]]/.exec(flags)?.[1];
  const value = placeholder === undefined ? null : valueOf(placeholder, argChoices);
  return { names, description, placeholder: placeholder ?? "", value };
}

function operandOf(command: CommandUnknownOpts): Value {
  const [first] = command.registeredArguments;
  return first ? valueOf(first.name(), first.argChoices) : nothing;
}

function valueOf(placeholder: string, choices: readonly string[] | undefined): Value {
  return choices ?? values[placeholder.replace(/\.\.\.$/, "")] ?? nothing;
}
