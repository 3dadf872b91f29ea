// The folder of GLUE's own files: which of a task's files are there, and each as a table.
import { join } from "node:path";
import { DataError } from "../../errors.ts";
import { readText, unreadable } from "../table.ts";
import { type GlueTable, readGlueText } from "./read_file.ts";
import { type GluePart, type GlueTask, plainName } from "./tasks.ts";

/** A task's folder; made by {@linkcode openGlueFolder}. */
export interface GlueFolder {
  readonly path: string;
  /** The parts whose files are there. */
  readonly parts: readonly GluePart[];
  /** Reads a part as {@linkcode readGlueText} does; throws {@linkcode DataError}. */
  read(part: GluePart): Promise<GlueTable>;
}

/**
 * Opens a task's folder in the folder that holds all tasks. Its name may be written in any case, with or without dashes.
 *
 * @throws {DataError} when it is not there, or there are two
 */
export async function openGlueFolder(folder: string, task: GlueTask): Promise<GlueFolder> {
  const path = join(folder, chooseFolder(await namesIn(folder), folder, task));
  const names = await namesIn(path);
  const files = new Map(task.files.map((file) => [file.part, file]));
  const read = async (part: GluePart): Promise<GlueTable> => {
    const file = files.get(part);
    if (!file) throw new DataError(`${task.name} has no part ${part}, it has: ${[...files.keys()].join(", ")}`);
    const at = join(path, file.name);
    return readGlueText(await readText(at), at, task, file);
  };
  return { path, parts: task.files.filter(({ name }) => names.includes(name)).map(({ part }) => part), read };
}

function chooseFolder(names: readonly string[], folder: string, task: GlueTask): string {
  const fitting = names.filter((name) => plainName(name) === task.config);
  const [first, second] = fitting;
  if (fitting.includes(task.name)) return task.name;
  if (first === undefined) {
    const has = names.length === 0 ? "it is empty" : `it has: ${names.slice(0, 20).join(", ")}`;
    throw new DataError(`${folder} has no folder ${task.name} with GLUE's files, ${has}`);
  }
  if (second !== undefined) {
    throw new DataError(`${folder} has ${first} and ${second}, which both mean ${task.name}: call the right one so`);
  }
  return first;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  } catch (cause) {
    throw unreadable(folder, cause);
  }
}
