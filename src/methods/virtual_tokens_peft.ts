// What PEFT's formats of prefixes and prompts have in common: so many virtual tokens, in one tensor of a name of its own.

import { CheckpointError } from "../errors.ts";
import { show } from "../files/shown.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import type { Backbone } from "../models/contract.ts";
import { longestText } from "../models/preceding.ts";
import type { PeftFields } from "./peft.ts";

/** The name of the tensor. */
export const promptEmbeddings = "prompt_embeddings";

/** What stands before a model's own keys, of which PEFT changes none here. */
export const promptPrefix = "base_model.";

/** The fields of so many virtual tokens, whose rows have this width. */
export function virtualTokens(
  { layers, numAttentionHeads }: Backbone,
  count: number,
  width: number,
): Record<string, unknown> {
  return {
    ...{ num_virtual_tokens: count, token_dim: width, num_transformer_submodules: 1 },
    ...{ num_attention_heads: numAttentionHeads, num_layers: layers.length },
  };
}

/** How many virtual tokens there are. Throws {@linkcode CheckpointError} when that is not a whole number above 0. */
export function countOf(fields: PeftFields): number {
  fields.only("num_transformer_submodules", null, 1);
  return fields.count("num_virtual_tokens");
}

/**
 * Checks a tensor before memory is taken for what its sizes say.
 *
 * @throws {CheckpointError} when it is not there, or is of another shape
 */
export function requireShape({ path, tensors }: WeightsFile, name: string, shape: readonly number[]): void {
  const found = tensors.get(name)?.shape;
  if (found?.join() === shape.join()) return;
  const misfit = found ? `does not fit its base: ${name} is ${show(found)} and not ${show(shape)}` : `lacks ${name}`;
  throw new CheckpointError(`${path} ${misfit}`);
}

/** Throws {@linkcode CheckpointError} when the virtual tokens leave no position to a text. */
export function requirePositions({ path }: WeightsFile, backbone: Backbone, count: number): void {
  if (count < longestText(backbone)) return;
  throw new CheckpointError(
    `${path} has ${count} virtual tokens, and its base ${backbone.maxPositions} positions in all`,
  );
}
