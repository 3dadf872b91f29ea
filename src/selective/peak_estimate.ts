// The peak memory of a training step, before it is made.

import type { SequenceClassifier } from "../models/contract.ts";
import { parameterBytes, trainedParameters } from "../nn/module.ts";
import type { ActivationMode } from "./gradients.ts";
import type { KeptStates } from "./kept_states.ts";
import {
  attentionBackwardBytes,
  embeddingBytes,
  forwardBytes,
  headBytes,
  inputBytes,
  keptBytes,
  rebuildingBytes,
  rebuiltBytes,
  tailBackwardBytes,
  tiedBytes,
} from "./moment_bytes.ts";
import { sideMoments } from "./side_moments.ts";
import { layerNumbers, type PlannedStep, type Shape, shapeOf, sum, trainedBytes, trainedLayers } from "./step_shape.ts";

/** A way to have activations for backward. */
export interface ActivationPlan {
  readonly activations: ActivationMode;
  readonly keptStates: KeptStates;
}

// By how much a moment grows through what is too small to be counted one by one.
const uncounted = 1.02;

/**
 * The most bytes that will live in tensors in a step, weights, gradients and AdamW's state included: counted where
 * something is kept, estimated where operators work. What is measured lies up to a tenth below, on the CPU; with a network
 * beside the backbone up to a fifth.
 */
export function estimatePeak(model: SequenceClassifier, step: PlannedStep, plan: ActivationPlan): number {
  const shape = shapeOf(model, step);
  const { resting: ofDerived, turned } = step.derived ?? { resting: 0, turned: 0 };
  const resting = parameterBytes(model) + 2 * trainedBytes(model) + ofDerived + inputBytes(shape);
  const { network } = model.backbone.side;
  const moments = network === null ? momentsOf(model, shape, step, plan) : sideMoments(model, network, shape);
  const derived = step.derived ? trainedBytes(model) + turned : 0;
  return resting + Math.ceil(uncounted * Math.max(...moments, derived));
}

function momentsOf(model: SequenceClassifier, shape: Shape, step: PlannedStep, plan: ActivationPlan): number[] {
  const gradients = gradientBytes(model, shape);
  const kept = keptBytes(shape, plan);
  const below = (index: number): number => sum(kept.slice(0, index));
  const moments = layerNumbers(shape).map((index) => below(index) + forwardBytes(shape, plan, index));
  moments.push(embeddingBytes(shape), below(shape.layers) + headBytes(model, shape));
  let accumulated = gradients.head;
  for (const index of trainedLayers(shape).toReversed()) {
    const inLayer = gradients.layers[index] ?? 0;
    const others = gradients.tied + (step.optimizerInBackward ? 0 : accumulated);
    moments.push(below(index + 1) + rebuildingBytes(shape, plan, index) + others);
    moments.push(below(index + 1) + tailBackwardBytes(shape, plan, index) + others + inLayer);
    moments.push(
      below(index) + attentionBackwardBytes(shape, plan) + rebuiltBytes(shape, plan, index) + others + inLayer,
    );
    accumulated += inLayer;
  }
  const updated = gradients.embeddings + (step.optimizerInBackward ? 0 : accumulated);
  return [...moments, updated];
}

interface GradientBytes {
  readonly head: number;
  /** Of the embeddings', what is there from the head on. */
  readonly tied: number;
  readonly layers: readonly number[];
  readonly embeddings: number;
}

// The vocabulary's gradient has the rows that were used, unless a head is tied to it.
function gradientBytes(model: SequenceClassifier, { selected, size }: Shape): GradientBytes {
  const { backbone, head } = model;
  const tied = tiedBytes(model);
  const ofEmbeddings = trainedParameters(backbone.embeddings).map((each) => {
    const isVocabulary = each.shape[0] === backbone.vocabSize && tied === 0;
    return isVocabulary ? Math.min(each.byteLength, 3 * selected * size * 4) : each.byteLength;
  });
  return { head: trainedBytes(head), tied, layers: backbone.layers.map(trainedBytes), embeddings: sum(ofEmbeddings) };
}
