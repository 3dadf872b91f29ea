// One model in a process of its own: for each line on standard input it makes a training step and prints what it took.

import {
  accumulateGradients,
  type ActivationMode,
  AdamW,
  applyMethod,
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
  selectPositions,
  type Sequence,
  threads,
  trainedParameters,
} from "../mod.ts";
import { configOf, type ModelSize } from "./model_sizes.ts";
import type { MeasuredStep } from "./stepper.ts";

/** What the worker is told, as JSON in its only argument. */
export interface WorkerSettings {
  readonly size: ModelSize;
  readonly method: "full" | "selective" | "selective+lora";
  readonly precision: "float32" | "bf16";
  readonly activations: ActivationMode;
  readonly optimizerInBackward: boolean;
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  /** Without meaning for the method `full`. */
  readonly k: number;
  readonly threads: number;
}

const learningRate = 2e-5;

class Trainee {
  readonly #optimizer: AdamW;
  readonly #positions = new Generator(0);
  readonly #dropout = { selected: new Generator(1), rest: new Generator(2) };
  readonly #batch: readonly Sequence[];

  constructor(readonly classifier: Classifier, readonly settings: WorkerSettings) {
    this.#optimizer = new AdamW(trainedParameters(classifier.model));
    this.#batch = settings.lengths.map(sequence);
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
    const { method, lengths, k, activations, precision, optimizerInBackward } = this.settings;
    const selected = selectPositions(lengths, method === "full" ? "all" : k, this.#positions);
    const batch = packBatch(this.#batch, { selected, ...packingFor(model) });
    const labels = this.#batch.map((_, index) => index % 2);
    let measured = [NaN, NaN] as const;
    accumulateGradients(model, batch, (logits) => lossOf(logits, labels, target), {
      random: this.#dropout,
      activations,
      precision,
      onLoss: () => measured = [performance.now(), memory().liveBytes - restingBytes],
      ...(optimizerInBackward && {
        onComplete: (part) => this.#optimizer.step(learningRate, namedParameters(part).values()),
      }),
    });
    return measured;
  }
}

function sequence(length: number, row: number): Sequence {
  return {
    inputIds: Array.from({ length }, (_, position) => 1000 + (row * 1531 + position * 97) % 29_000),
    tokenTypeIds: new Uint8Array(length),
  };
}

function trainee(settings: WorkerSettings): Trainee {
  const classifier = randomClassifier(configOf(settings.size), { target: { labels: ["a", "b"] } });
  applyMethod(classifier, settings.method);
  return new Trainee(classifier, settings);
}

if (import.meta.main) {
  const settings = JSON.parse(Deno.args[0] ?? "") as WorkerSettings;
  await initialize();
  threads(settings.threads);
  const trained = trainee(settings);
  for await (const lines of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    for (const _ of lines.matchAll(/\n/g)) console.log(JSON.stringify(trained.step()));
  }
}
