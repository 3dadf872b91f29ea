// Runs sequences through a model in batches of like length, and lets the event loop run between them.

import { evaluationBatches, inOriginalOrder } from "../data/batches.ts";
import type { Sequence } from "../selective/batch.ts";
import { nextTask } from "./next_task.ts";

/** How examples are run through a model. */
export interface PredictOptions {
  /** Sequences that run together. Default 32. */
  readonly batchSize?: number;
  /** Told after each batch how many examples are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What `run` gives for each of the sequences of a batch, in the order of all. */
export async function inBatches<Example extends Pick<Sequence, "inputIds">, Value>(
  examples: readonly Example[],
  { batchSize = 32, onProgress }: PredictOptions,
  run: (batch: readonly Example[]) => readonly Value[],
): Promise<Value[]> {
  const batches = evaluationBatches(examples.map(({ inputIds }) => inputIds.length), batchSize);
  const values: (readonly Value[])[] = [];
  let done = 0;
  for (const indices of batches) {
    values.push(run(indices.flatMap((index) => examples[index] ?? [])));
    done += indices.length;
    onProgress?.(done, examples.length);
    await nextTask();
  }
  return inOriginalOrder(batches, values);
}
