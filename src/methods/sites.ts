// Finds the linear maps of a layer that options name: by what they do, or by the end of their keys.

import { OptionError } from "../errors.ts";
import { type LinearSite, linearSites, type TransformerLayer } from "../models/contract.ts";
import { type Linear, namedLinears } from "../nn/linear.ts";

/**
 * The linear maps of a layer by their names: a {@linkcode LinearSite}, or the end of a key such as `output.dense`.
 *
 * @param option names the option in the error
 * @throws {OptionError} for a name that means none, with those that there are
 */
export function linearsAt(option: string, layer: TransformerLayer, names: readonly string[]): Linear[] {
  const linears = namedLinears(layer);
  const found = names.flatMap((name) => {
    if (isSite(name)) return [layer.linears[name]];
    const ending = [...linears].filter(([key]) => `.${key}`.endsWith(`.${name}`)).map(([, linear]) => linear);
    if (ending.length > 0) return ending;
    throw new OptionError(
      `${option} has ${JSON.stringify(name)}, which is no linear map of a layer: there are ${
        linearSites.join(", ")
      }, ` +
        `and by their keys ${[...linears.keys()].join(", ")}`,
    );
  });
  return [...new Set(found)];
}

function isSite(name: string): name is LinearSite {
  return (linearSites as readonly string[]).includes(name);
}
