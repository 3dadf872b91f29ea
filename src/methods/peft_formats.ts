// The methods that PEFT has too, each with its format there.

import type { Adaptation } from "../models/adaptation.ts";
import { ia3Format } from "./ia3_peft.ts";
import { loraFormat } from "./lora_peft.ts";
import type { AdapterConfig, PeftFormat } from "./peft.ts";
import { prefixFormat } from "./prefix_peft.ts";
import { promptFormat } from "./prompt_peft.ts";

const formats: readonly PeftFormat[] = [loraFormat, ia3Format, prefixFormat, promptFormat];

/** PEFT's format of what methods made of a model; undefined where PEFT has none. */
export function peftFormatOf({ methods, options }: Pick<Adaptation, "methods" | "options">): PeftFormat | undefined {
  return formats.find(({ method, canSay }) => methods.join() === method && (canSay?.(options) ?? true));
}

/** The format of an adapter. Throws {@linkcode CheckpointError} for a type that is not known here. */
export function formatOfType({ fields }: AdapterConfig): PeftFormat {
  const known = formats.map(({ type }) => type);
  const format = formats.find(({ type }) => type === fields.values["peft_type"]);
  return format ?? fields.refuse("peft_type", `${known.join(" or ")}, which are known here`);
}
