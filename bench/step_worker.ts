// One model in a process of its own: for each line on standard input it makes a training step and prints what it took.

import {
  accumulateGradients,
  type ActivationMode,
  AdamW,
  type Classifier,
  Generator,
  initialize,
  lossOf,
  memory,
  namedParameters,
  packBatch,
  packingFor,
  randomClassifier,
  resetPeakMemory,
  scope,
  type SelectionSize,
  selectPositions,
  type Sequence,
  threads,
} from "../mod.ts";
import { configOf, type ModelName, modelSizes } from "./model_sizes.ts";

/** What the worker is told, as JSON in its only argument. */
export interface WorkerSettings {
  readonly model: ModelName;
  readonly k: SelectionSize;
  readonly activations: ActivationMode;
  readonly optimizerInBackward: boolean;
  readonly batchSize: number;
  readonly length: number;
  readonly threads: number;
}

/** What a step took: seconds and bytes. */
export interface MeasuredStep {
  readonly forward: number;
  readonly backward: number;
  readonly optimizer: number;
  readonly restingBytes: number;
  readonly activationBytes: number;
  readonly peakBytes: number;
}

const learningRate = 2e-5;

class Trainee {
  readonly #optimizer: AdamW;
  readonly #positions = new Generator(0);
  readonly #dropout = { selected: new Generator(1), rest: new Generator(2) };
  readonly #batch: readonly Sequence[];

  constructor(readonly classifier: Classifier, readonly settings: WorkerSettings) {
    this.#optimizer = new AdamW(namedParameters(classifier.model).values());
    this.#batch = sequences(settings);
  }

  step(): MeasuredStep {
    resetPeakMemory();
    const restingBytes = memory().liveBytes;
    const started = performance.now();
    const [forwarded, activationBytes] = scope(() => this.#accumulate(restingBytes));
    const accumulated = performance.now();
    this.#optimizer.step(learningRate);
    return {
      forward: (forwarded - started) / 1000,
      backward: (accumulated - forwarded) / 1000,
      optimizer: (performance.now() - accumulated) / 1000,
      restingBytes,
      activationBytes,
      peakBytes: memory().peakBytes,
    };
  }

  #accumulate(restingBytes: number): readonly [forwarded: number, activationBytes: number] {
    const { model, target } = this.classifier;
    const selected = selectPositions(
      this.#batch.map(({ inputIds }) => inputIds.length),
      this.settings.k,
      this.#positions,
    );
    const batch = packBatch(this.#batch, { selected, ...packingFor(model) });
    const labels = this.#batch.map((_, index) => index % 2);
    const { activations, optimizerInBackward } = this.settings;
    let measured = [NaN, NaN] as const;
    accumulateGradients(model, batch, (logits) => lossOf(logits, labels, target), {
      random: this.#dropout,
      activations,
      onLoss: () => measured = [performance.now(), memory().liveBytes - restingBytes],
      ...(optimizerInBackward && {
        onComplete: (part) => this.#optimizer.step(learningRate, namedParameters(part).values()),
      }),
    });
    return measured;
  }
}

function sequences({ batchSize, length }: WorkerSettings): Sequence[] {
  return Array.from({ length: batchSize }, (_, row) => ({
    inputIds: Array.from({ length }, (_, position) => 1000 + (row * 1531 + position * 97) % 29_000),
    tokenTypeIds: new Uint8Array(length),
  }));
}

if (import.meta.main) {
  const settings = JSON.parse(Deno.args[0] ?? "") as WorkerSettings;
  await initialize();
  threads(settings.threads);
  const target = { labels: ["a", "b"] };
  const trainee = new Trainee(randomClassifier(configOf(modelSizes[settings.model]), { target }), settings);
  for await (const lines of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    for (const _ of lines.matchAll(/\n/g)) console.log(JSON.stringify(trainee.step()));
  }
}
