// How many rows of logits exist at once: over a vocabulary they are wide.

import type { SequenceClassifier } from "../models/contract.ts";
import { dtypeBytes } from "../torch/mod.ts";

const logitBytes = 2 ** 26;

/** The rows of logits that take 64 MiB; at least one. */
export function logitRows({ numLabels, backbone }: SequenceClassifier): number {
  return Math.max(1, Math.floor(logitBytes / (numLabels * dtypeBytes(backbone.dtype))));
}
