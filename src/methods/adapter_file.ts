// Fewtune's own format of an adapter: the methods and their options, from which what they put in is made again.

import { CheckpointError, OptionError } from "../errors.ts";
import { hubModelOf } from "../hub/cache_layout.ts";
import { isObject } from "../files/json_text.ts";
import { show } from "../files/shown.ts";
import type { Adaptation } from "../models/adaptation.ts";
import { readJsonObject } from "../models/config.ts";
import { faultOf } from "../options/check.ts";
import { checkMethod } from "./apply.ts";
import type { Method } from "./contract.ts";
import { methodDeclarations, type MethodOptions } from "./registry.ts";

export const ownConfigName = "fewtune_adapter.json";
export const ownWeightsName = "fewtune_adapter.safetensors";

// What changes when the files do.
const format = 1;

/** What a fewtune_adapter.json says. */
export interface OwnConfig {
  readonly method: Method;
  readonly options: MethodOptions;
  /** The checkpoint that the adapter goes with: its folder, or its name on the hub. */
  readonly base: string;
  /** Of a base on the hub. */
  readonly revision: string | undefined;
}

/** The content of fewtune_adapter.json for what methods made of a model whose base is in the folder `base`. */
export function ownConfig({ methods, options }: Adaptation, base: string): Record<string, unknown> {
  const onHub = hubModelOf(base);
  return {
    format,
    method: ["freezeLayers" in options ? ["freeze"] : [], methods].flat().join("+"),
    options,
    base: onHub?.name ?? base,
    ...(onHub && { revision: onHub.commit }),
  };
}

/**
 * Reads a fewtune_adapter.json.
 *
 * @throws {CheckpointError} when it is damaged, of another version, or of a method that cannot be
 */
export function readOwnConfig(path: string): OwnConfig {
  const { format: found, method, options, base, revision } = readJsonObject(path);
  if (found !== format) {
    throw new CheckpointError(
      `${path}: format is ${show(found)}, this Fewtune reads ${format}: load it with the version that wrote it`,
    );
  }
  if (typeof method !== "string" || !isObject(options) || typeof base !== "string") {
    throw new CheckpointError(`${path} is damaged: it has to have a method, its options, and a base`);
  }
  const fault = faultOf(methodDeclarations, options);
  if (fault) throw new CheckpointError(`${path}: ${fault.message}`);
  try {
    const checked = checkMethod(method, options as MethodOptions);
    return { method: checked, options, base, revision: typeof revision === "string" ? revision : undefined };
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new CheckpointError(`${path}: ${error.message}`, { cause: error });
  }
}
