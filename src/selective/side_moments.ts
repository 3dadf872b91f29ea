// The bytes of a step's moments where a network beside the backbone trains.

import type { SequenceClassifier } from "../models/contract.ts";
import { partsOfSide, type SideNetwork } from "../models/side_network.ts";
import {
  attentionBackwardBytes,
  embeddingBytes,
  forwardBytes,
  headBytes,
  keptBytes,
  tailBackwardBytes,
  tailBytes,
} from "./moment_bytes.ts";
import type { ActivationPlan } from "./peak_estimate.ts";
import { layerNumbers, type Shape, sum, trainedBytes } from "./step_shape.ts";

const stored: ActivationPlan = { activations: "store", keptStates: { from: 0, every: 1 } };

/** What lives at the moments of a step beside weights, optimizer state and inputs; `shape` is the backbone's. */
export function sideMoments(model: SequenceClassifier, side: SideNetwork, shape: Shape): number[] {
  const { stages, end } = side;
  const narrow = narrowShape(side, shape);
  const [state, ofSide] = [rowBytes(shape, "selected"), rowBytes(narrow, "selected")];
  const states = state + rowBytes(shape, "rest");
  // Beside the backbone's state: what is below, and its difference to that state projected.
  const ofStage = keptBytes(narrow, stored).map((bytes, index) => bytes + (stages[index]?.junction ? 2 * ofSide : 0));
  const keptBelow = (index: number): number => sum(ofStage.slice(0, index));
  // Of the backbone's states those that are kept and no longer its current one.
  const statesBelow = (place: number): number =>
    state * stages.filter((stage) => stage.junction !== null && stage.place < place).length;
  const frozen = layerNumbers(shape).map((place) => {
    const done = stages.filter((stage) => stage.place < place).length;
    const current = ofSide + (done < stages.length ? rowBytes(narrow, "rest") : 0);
    return keptBelow(done) + statesBelow(place - 1) + current + frozenBytes(shape);
  });
  const forward = stages.map(({ place }, index) =>
    keptBelow(index) + statesBelow(place) + states + 2 * ofSide + forwardBytes(narrow, stored, index)
  );
  const [kept, head] = [keptBelow(stages.length) + 2 * ofSide, trainedBytes(model.head)];
  const lastStates = statesBelow(shape.layers - 1) + states;
  const allStates = statesBelow(shape.layers);
  const gradients = head + sum(partsOfSide(side).map(trainedBytes));
  const backward = stages.map(({ place }, index) =>
    keptBelow(index + 1) + statesBelow(place + 1) + gradients +
    Math.max(tailBackwardBytes(narrow, stored, index), attentionBackwardBytes(narrow, stored))
  );
  return [
    ...[embeddingBytes(shape), ...frozen, ...forward, ...backward],
    kept + lastStates + state,
    kept + allStates + 2 * state + headBytes(model, shape),
    kept + allStates + 2 * state + 3 * ofSide + head + trainedBytes(end),
    gradients,
  ];
}

function narrowShape({ stages, start }: SideNetwork, shape: Shape): Shape {
  const linears = stages[0]?.layer.linears;
  return {
    ...shape,
    layers: stages.length,
    lowest: start === null ? 0 : -1,
    size: linears?.query.outFeatures ?? 0,
    inner: linears?.intermediate.outFeatures ?? 0,
  };
}

function rowBytes(shape: Shape, part: "selected" | "rest"): number {
  return shape.elementBytes * shape[part] * shape.size;
}

// A layer of the frozen backbone at work: its input and output, queries, keys and values, and a block of rows, with their
// norm where the layer begins with one.
function frozenBytes(shape: Shape): number {
  const { size, blockRows, elementBytes, copyBytes } = shape;
  const states = 2 * (rowBytes(shape, "selected") + rowBytes(shape, "rest"));
  const attention = size * (2 * elementBytes + Math.max(5 * elementBytes, 4 * copyBytes));
  const block = 4 * elementBytes * size + Math.max(attention, 2 * elementBytes * size + tailBytes(shape));
  return states + 3 * rowBytes(shape, "selected") + blockRows * block;
}
