// Multi-head attention of blocks of queries over blocks of keys and values.

import {
  add_,
  type Generator,
  hasBfloat16Arithmetic,
  matmul,
  mulScalar,
  reshape,
  scaledDotProductAttention,
  scope,
  softmax,
  type Tensor,
  to,
  transpose,
  view,
} from "../torch/mod.ts";
import type { Dropout } from "./dropout.ts";

/** What attention needs besides queries, keys and values. */
export interface AttentionOptions {
  /** Added to the scores, broadcast to `[B, heads, queries, keys]`: -Infinity hides a key. */
  readonly bias: Tensor | null;
  /** On the attention probabilities. */
  readonly dropout: Dropout;
  /** Null in evaluation. */
  readonly random: Generator | null;
}

/** `[B, L, d]` as `[B, heads, L, d / heads]`, without a copy. */
export function splitHeads(block: Tensor, heads: number): Tensor {
  const [batch, length, size] = [block.length(0), block.length(1), block.length(2)];
  return transpose(view(block, [batch, length, heads, size / heads]), 1, 2);
}

/**
 * softmax(q k^T / sqrt(d) + bias) v for each head (Vaswani et al. 2017, equation 1), with dropout on the probabilities.
 *
 * @param query `[B, heads, Lq, d]`
 * @param key `[B, heads, Lk, d]`
 * @param value `[B, heads, Lk, d]`
 * @returns the heads side by side, `[B * Lq, heads * d]`
 */
export function attention(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions): Tensor {
  return scope(() => {
    const [q, k, v] = [computable(query), computable(key), computable(value)];
    const bias = options.bias && to(options.bias, { dtype: q.dtype });
    const context = options.dropout.isActive(options.random)
      ? attentionWithDropout(q, k, v, { ...options, bias })
      : scaledDotProductAttention(q, k, v, bias);
    return to(joinHeads(context), { dtype: query.dtype });
  });
}

/** The tensor in a type that its device multiplies: bfloat16 becomes float32 where that is emulated. */
export function computable(tensor: Tensor): Tensor {
  const isEmulated = tensor.dtype === "bfloat16" && !hasBfloat16Arithmetic(tensor.device);
  return isEmulated ? to(tensor, { dtype: "float32" }) : tensor;
}

/** `[B, heads, L, d / heads]` as rows `[B * L, d]`. */
export function joinHeads(heads: Tensor): Tensor {
  const [batch, count, length, size] = [heads.length(0), heads.length(1), heads.length(2), heads.length(3)];
  return scope(() => reshape(transpose(heads, 1, 2), [batch * length, count * size]));
}

function attentionWithDropout(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions): Tensor {
  const { bias, dropout, random } = options;
  const scores = matmul(mulScalar(query, query.length(3) ** -0.5), transpose(key, 2, 3));
  if (bias !== null) add_(scores, bias);
  const probabilities = softmax(scores, -1);
  scores.dispose();
  return matmul(dropout.apply(probabilities, random), value);
}
