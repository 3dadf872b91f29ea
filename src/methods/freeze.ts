// Freezing: the embeddings and the lowest layers do not train, so that backward stops above them.

import { OptionError } from "../errors.ts";
import type { Backbone } from "../models/contract.ts";
import { checkGiven } from "../options/check.ts";
import { trueOrFalse, wholeNumber } from "../options/values.ts";
import type { OpenParts } from "./contract.ts";

/** What freezing is told. */
export interface FreezeOptions {
  /** How many of the lowest layers do not train; 0 freezes the embeddings alone. */
  readonly freezeLayers?: number | undefined;
}

/** The options' declarations. */
export const freezeDeclarations = {
  freezeLayers: wholeNumber({ least: 0 }).describe("lowest layers that do not train, with freeze"),
};

/** The same, and the option that every method has. */
export const extentDeclarations = {
  ...freezeDeclarations,
  freezeEmbeddings: trueOrFalse().describe("do not train the embeddings").default(false),
};

/** Throws {@linkcode OptionError} unless the number of layers is given and is one. */
export function checkFreezeOptions(options: FreezeOptions): void {
  if (options.freezeLayers === undefined) {
    throw new OptionError("the method freeze has to be told how many of the lowest layers do not train (freezeLayers)");
  }
  checkGiven(freezeDeclarations, options);
}

/** What is left of a backbone above its lowest layers. Throws {@linkcode OptionError} when it has fewer layers. */
export function partsAbove(backbone: Backbone, { freezeLayers = 0 }: FreezeOptions): OpenParts {
  const { layers, finalNorm } = backbone;
  if (freezeLayers > layers.length) {
    throw new OptionError(`the number of frozen layers is ${freezeLayers}, this model has ${layers.length}`);
  }
  return { backbone, layers: layers.slice(freezeLayers), others: finalNorm === null ? [] : [finalNorm] };
}
