// The gradient of attention, from queries, keys and values alone: nothing of the forward pass is kept for it.

import {
  add_,
  matmul,
  mulScalar,
  mulScalar_,
  narrow,
  scope,
  softmax,
  softmaxBackward,
  type Tensor,
  to,
  transpose,
} from "../torch/mod.ts";
import { type AttentionOptions, computable, joinHeads } from "./attention.ts";

/** Gradients as rows: of all queries `[B * Lq, d]`, and of each sequence's first keys and values `[B * n, d]`. */
export interface AttentionGradient {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
}

/**
 * Gradients of {@linkcode attention}. The probabilities are computed again, and the random generator has to be in the
 * state in which it was before attention, so that the same of them are dropped.
 *
 * With P = softmax(S), S = q k^T / sqrt(d) + bias, and O = drop(P) v: dv = drop(P)^T dO, dP = drop(dO v^T),
 * dS = P (dP - rowsum(P dP)), dq = dS k / sqrt(d), dk = dS^T q / sqrt(d). Keys and values beyond the first `keyCount`
 * are constants: nothing is computed for them.
 *
 * @param query `[B, heads, Lq, d / heads]`
 * @param key `[B, heads, Lk, d / heads]`
 * @param value `[B, heads, Lk, d / heads]`
 * @param gradient of the result, in heads as the query
 * @param keyCount n: of how many keys and values of each sequence, the first ones, gradients are needed
 */
export function attentionGradient(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  gradient: Tensor,
  keyCount: number,
  options: AttentionOptions,
): AttentionGradient {
  return scope(() => {
    const { bias, dropout, random } = options;
    const [q, k, v, ofContext] = [computable(query), computable(key), computable(value), computable(gradient)];
    const scale = q.length(3) ** -0.5;
    const scaled = mulScalar(q, scale);
    const probabilities = probabilitiesOf(scaled, k, bias);
    const noise = dropout.draw(probabilities, random);
    const first = (weights: Tensor): Tensor => transpose(narrow(weights, 3, 0, keyCount), 2, 3);
    const rows = (compute: () => Tensor): Tensor => scope(() => to(joinHeads(compute()), { dtype: query.dtype }));
    const ofValue = rows(() => matmul(first(dropout.applyNoise(probabilities, noise)), ofContext));
    const ofScores = scope(() => {
      const ofProbabilities = dropout.applyNoiseInPlace(matmul(ofContext, transpose(v, 2, 3)), noise);
      return softmaxBackward(ofProbabilities, probabilities, -1, q.dtype);
    });
    probabilities.dispose();
    const ofKey = rows(() => matmul(first(ofScores), scaled));
    const ofQuery = rows(() => mulScalar_(matmul(ofScores, k), scale));
    return { query: ofQuery, key: ofKey, value: ofValue };
  });
}

function probabilitiesOf(scaled: Tensor, key: Tensor, bias: Tensor | null): Tensor {
  return scope(() => {
    const scores = matmul(scaled, transpose(key, 2, 3));
    if (bias !== null) add_(scores, bias);
    return softmax(scores, -1);
  });
}
