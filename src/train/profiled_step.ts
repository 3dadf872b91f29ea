// A training step that tells of each piece of its work as it ends, so that time and memory can be read there.

import { SeededRandom } from "../data/prng.ts";
import type { Classifier } from "../models/classifier.ts";
import { type Module, namedParameters, trainedParameters } from "../nn/module.ts";
import { packBatch, packingFor, type Sequence } from "../selective/batch.ts";
import type { DropoutRandom } from "../selective/attend.ts";
import { accumulateGradients, type ActivationMode, type Precision, type Work } from "../selective/gradients.ts";
import type { KeptStates } from "../selective/kept_states.ts";
import { type SelectionSize, selectPositions } from "../selective/positions.ts";
import { Generator, scope } from "../torch/mod.ts";
import { AdamW, type AdamWOptions } from "./adamw.ts";
import { lossOf } from "./loss.ts";

/** The kinds of work in a step; `batch` is choosing positions and packing. */
export const stepPhases = ["batch", "forwardWithoutGrad", "forwardWithGrad", "backward", "optimizerStep"] as const;

/** One of {@linkcode stepPhases}. */
export type StepPhase = typeof stepPhases[number];

/** A piece of a step's work. */
export interface Piece {
  readonly phase: StepPhase;
  /** Of the layer with this index, of the embeddings (-1), of the head (the number of layers), or of the model (null). */
  readonly layer: number | null;
}

/** How the steps are made. */
export interface StepSettings extends AdamWOptions {
  /** Tokens of each sequence of the batch. */
  readonly lengths: readonly number[];
  readonly k: SelectionSize;
  readonly activations: ActivationMode;
  readonly keptStates: KeptStates;
  readonly precision: Precision;
  readonly optimizerInBackward: boolean;
  readonly seed: number;
}

const phaseOfWork: Readonly<Record<Work["kind"], StepPhase>> = {
  restForward: "forwardWithoutGrad",
  selectedForward: "forwardWithGrad",
  backward: "backward",
};

const learningRate = 5e-5;

/** Makes training steps on a batch of random tokens. */
export class ProfiledStep implements Disposable {
  readonly optimizer: AdamW;
  readonly #classifier: Classifier;
  readonly #settings: StepSettings;
  readonly #sequences: readonly Sequence[];
  readonly #positions: Generator;
  readonly #dropout: DropoutRandom;

  constructor(classifier: Classifier, settings: StepSettings) {
    const { seed } = settings;
    const { device, vocabSize } = classifier.model.backbone;
    this.#classifier = classifier;
    this.#settings = settings;
    this.#sequences = randomSequences(settings.lengths, vocabSize, seed);
    this.optimizer = new AdamW(trainedParameters(classifier.model), settings);
    this.#positions = new Generator(seed);
    this.#dropout = { selected: new Generator(2 * seed + 1, device), rest: new Generator(2 * seed + 2, device) };
  }

  /** Makes one step; `tell` is called at the end of each piece, and the pieces are the whole step. */
  run(tell: (piece: Piece) => void): void {
    scope(() => this.#accumulate(tell));
    this.optimizer.step(learningRate);
    tell({ phase: "optimizerStep", layer: null });
  }

  [Symbol.dispose](): void {
    this.optimizer[Symbol.dispose]();
    for (const random of [this.#positions, this.#dropout.selected, this.#dropout.rest]) random.dispose();
  }

  #accumulate(tell: (piece: Piece) => void): void {
    const { model, target } = this.#classifier;
    const { lengths, k, activations, keptStates, precision, optimizerInBackward } = this.#settings;
    const selected = selectPositions(lengths, k, this.#positions, model.pooling);
    const batch = packBatch(this.#sequences, { selected, ...packingFor(model) });
    tell({ phase: "batch", layer: null });
    const labels = lengths.map((_, index) => index % model.numLabels);
    let layer = 0;
    const update = (part: Module): void => {
      this.optimizer.step(learningRate, namedParameters(part).values());
      tell({ phase: "optimizerStep", layer });
    };
    accumulateGradients(model, batch, (logits) => lossOf(logits, labels, target), {
      random: this.#dropout,
      activations,
      keptStates,
      precision,
      onWork: (work) => {
        layer = work.layer;
        tell({ phase: phaseOfWork[work.kind], layer });
      },
      ...(optimizerInBackward && { onComplete: update }),
    });
  }
}

// Any tokens do, except the first, which pads in many vocabularies and then has no gradient.
function randomSequences(lengths: readonly number[], vocabSize: number, seed: number): Sequence[] {
  const random = new SeededRandom(seed);
  return lengths.map((length) => ({
    inputIds: Int32Array.from({ length }, () => 1 + random.below(vocabSize - 1)),
    tokenTypeIds: new Uint8Array(length),
  }));
}
