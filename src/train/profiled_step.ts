// The step that is profiled: the trainer's own, on a batch of random tokens.

import { SeededRandom } from "../data/prng.ts";
import type { Classifier } from "../models/classifier.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import type { Precision } from "../selective/gradients.ts";
import type { ActivationPlan } from "../selective/peak_estimate.ts";
import type { SelectionSize } from "../selective/positions.ts";
import type { AdamWOptions } from "./adamw.ts";
import type { TellPiece } from "./pieces.ts";
import type { TrainingExample } from "./lesson.ts";
import { Stepper } from "./step.ts";

/** How the steps are made. */
export interface StepSettings extends AdamWOptions, ActivationPlan {
  /** Tokens of each sequence of the batch. */
  readonly lengths: readonly number[];
  readonly k: SelectionSize;
  readonly precision: Precision;
  readonly optimizerInBackward: boolean;
  readonly seed: number;
}

const learningRate = 5e-5;

/** Makes training steps on a batch of random tokens. */
export class ProfiledStep implements Disposable {
  readonly #stepper: Stepper;
  readonly #examples: readonly TrainingExample[];

  constructor(classifier: Classifier, settings: StepSettings) {
    this.#stepper = new Stepper(classifier, settings, settings);
    // A language model reads all but the last token of a text.
    const extra = classifier.target === "nextToken" ? 1 : 0;
    this.#examples = randomExamples(classifier.model, settings.lengths.map((each) => each + extra), settings.seed);
  }

  /** The bytes of the optimizer's state. */
  get optimizerBytes(): number {
    return this.#stepper.optimizerBytes;
  }

  /** The number of elements of all parameters that are trained. */
  get trainableParameters(): number {
    return this.#stepper.trainableParameters;
  }

  /** Makes one step; `tell` is called at the end of each piece, and the pieces are the whole step. */
  run(tell: TellPiece): void {
    this.#stepper.run(this.#examples, learningRate, tell);
  }

  [Symbol.dispose](): void {
    this.#stepper[Symbol.dispose]();
  }
}

// Any tokens do, except the first, which pads in many vocabularies and then has no gradient.
function randomExamples(
  { backbone, numLabels }: SequenceClassifier,
  lengths: readonly number[],
  seed: number,
): TrainingExample[] {
  const random = new SeededRandom(seed);
  return lengths.map((length, index) => ({
    inputIds: Int32Array.from({ length }, () => 1 + random.below(backbone.vocabSize - 1)),
    tokenTypeIds: new Uint8Array(length),
    label: index % numLabels,
  }));
}
