// The weight methods that Fewtune knows, and all that they can be told.

import type { WeightMethod } from "./contract.ts";
import type { FreezeOptions } from "./freeze.ts";
import { full } from "./full.ts";
import { lora, type LoraOptions } from "./lora.ts";

/** The options of all methods; one that belongs to another method is refused. */
export interface MethodOptions extends LoraOptions, FreezeOptions {
  /** Whether the embeddings stay as they are, with every method, and a head that is tied to them too. Default false. */
  readonly freezeEmbeddings?: boolean | undefined;
  /** Of the first values of what a method puts into the model. Default 0. */
  readonly seed?: number;
}

/** In the order in which a message lists them. */
export const weightMethods: readonly WeightMethod<MethodOptions>[] = [full, lora];
