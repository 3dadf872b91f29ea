// training.json: how a saved model was trained, with what result.

import { loadedLibTorch } from "../native/load.ts";
import { version } from "../version.ts";

/** The name of the file in a saved model's folder. */
export const trainingRecordName = "training.json";

/** The versions of what a result depends on. */
export type Versions = Readonly<Record<"fewtune" | "deno" | "torch", string>>;

/** The versions in this process. */
export function versions(): Versions {
  return { fewtune: version, deno: Deno.version.deno, torch: loadedLibTorch()?.version ?? "none" };
}

/** The maximum length that the model in `folder` was trained with, when that is known. */
export async function trainedMaxLength(folder: string): Promise<number | undefined> {
  const record = await readRecord(`${folder}/${trainingRecordName}`);
  const maxLength = record?.options?.["maxLength"];
  return Number.isInteger(maxLength) && Number(maxLength) >= 1 ? Number(maxLength) : undefined;
}

/** The task of GLUE that the model in `folder` was trained on, when it was one. */
export async function trainedGlueTask(folder: string): Promise<string | undefined> {
  const glue = (await readRecord(`${folder}/${trainingRecordName}`))?.options?.["glue"];
  return typeof glue === "string" ? glue : undefined;
}

async function readRecord(path: string): Promise<{ readonly options?: Readonly<Record<string, unknown>> } | null> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return null;
    throw error;
  }
}
