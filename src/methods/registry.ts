// The weight methods that Fewtune knows, and all that they can be told.

import { adapters } from "./adapters.ts";
import { bitfit } from "./bitfit.ts";
import { compacter } from "./compacter.ts";
import type { WeightMethod } from "./contract.ts";
import { diff } from "./diff.ts";
import { extentDeclarations, type FreezeOptions } from "./freeze.ts";
import { full } from "./full.ts";
import { ia3 } from "./ia3.ts";
import { lora } from "./lora.ts";
import { lst } from "./lst.ts";
import { mask } from "./mask.ts";
import { prefix } from "./prefix.ts";
import { prompt } from "./prompt.ts";
import { side } from "./side.ts";

const methods = [full, lora, bitfit, ia3, adapters, compacter, prefix, prompt, lst, side, mask, diff] as const;

/** In the order in which a message lists them. */
export const weightMethods: readonly WeightMethod[] = methods;

type Together<Union> = (Union extends unknown ? (each: Union) => void : never) extends (all: infer All) => void ? All
  : never;
type OptionsOf<Known> = Known extends WeightMethod<infer Options> ? Options : never;

/** The declarations of the weight methods' options. */
export const weightDeclarations: Together<typeof methods[number]["options"]> = Object.assign(
  {},
  ...methods.map(({ options }) => options),
);

/** The declarations of all methods' options. */
export const methodDeclarations = { ...weightDeclarations, ...extentDeclarations };

/** The options of all methods; one that belongs to another method is refused. */
export type MethodOptions = Together<OptionsOf<typeof methods[number]>> & FreezeOptions & {
  /** Whether the embeddings stay as they are, with every method, and a head that is tied to them too. Default false. */
  readonly freezeEmbeddings?: boolean | undefined;
  /** Of the first values of what a method puts into the model. Default 0. */
  readonly seed?: number;
};
