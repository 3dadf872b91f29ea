// A training run to be killed: it saves after every step, tells what it does, and goes on where the one before was killed.
//
// Run as a program with a folder, it prints a line for each event and at the end `weights` and their hash.

import { createHash } from "node:crypto";
import { namedParameters, newestCheckpoint, toTypedArray, train } from "../../mod.ts";
import { labelledSequences, randomBert } from "../support/random_bert.ts";
import "../support/torch.ts";

const lengths = Array.from({ length: 22 }, (_, index) => 2 + (index * 5) % 9);

/**
 * Runs to its end (or to a step, and saves then), from the newest checkpoint in `folder` if there is one; without a
 * folder it writes none.
 */
export async function runToBeKilled(
  folder: string | null,
  tell: (line: string) => void,
  lastStep = Infinity,
): Promise<void> {
  // Large enough that writing takes as long as a step.
  using classifier = randomBert({ dropout: 0.1, hiddenSize: 128, intermediateSize: 512, numHiddenLayers: 2 });
  const data = { train: labelledSequences(lengths), dev: labelledSequences(lengths.slice(0, 5)) };
  const controller = new AbortController();
  await train(classifier, data, {
    ...{ k: 2, batchSize: 4, maxSteps: 60, learningRate: 1e-3, evalSteps: 7 },
    ...(folder !== null && { checkpoints: { folder, saveSteps: 1 }, resumeFrom: newestCheckpoint(folder) }),
    signal: controller.signal,
    onEvent: (event) => {
      const { type, step } = event;
      tell(`${type} ${step}${type === "notice" ? ` ${event.message}` : ""}`);
      if (step === lastStep) controller.abort();
    },
  });
  const hash = createHash("sha256");
  for (const parameter of namedParameters(classifier.model).values()) hash.update(toTypedArray(parameter));
  tell(`weights ${hash.digest("hex")}`);
}

if (import.meta.main) await runToBeKilled(Deno.args[0] ?? "", (line) => console.log(line));
