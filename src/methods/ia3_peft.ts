// PEFT's format of (IA)^3: `IA3Config`, and the keys of its vectors.

import type { WeightsFile } from "../files/weights_file.ts";
import type { Adaptation, Insertion } from "../models/adaptation.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { adaptedLinears, type Linear, namedLinears } from "../nn/linear.ts";
import { Ia3, insertIa3 } from "./ia3.ts";
import { keyPrefix, type PeftFields, type PeftFormat } from "./peft.ts";
import { targetModules } from "./peft_targets.ts";

export const ia3Format: PeftFormat = {
  type: "IA3",
  method: "ia3",
  fields(model: SequenceClassifier): Record<string, unknown> {
    const scaled = ia3Linears(model);
    const onInput = new Map([...scaled].filter(([, { isOnInput }]) => isOnInput));
    const [target_modules, feedforward_modules] = [targetModules(model, scaled), targetModules(model, onInput)];
    // PEFT tells them apart by the ends of keys, of which one may be another's.
    const isClear = feedforward_modules.every((name) => target_modules.includes(name));
    return {
      ...{ fan_in_fan_out: false, init_ia3_weights: true },
      target_modules: isClear ? target_modules : [...scaled.keys()],
      feedforward_modules: isClear ? feedforward_modules : [...onInput.keys()],
    };
  },
  options(fields: PeftFields): Adaptation["options"] {
    fields.only("fan_in_fan_out", null, false);
    return {};
  },
  isOwnKey: (key) => ownKey.test(key),
  insert(
    model: SequenceClassifier,
    _options: Adaptation["options"],
    file: WeightsFile,
    keys: readonly string[],
  ): readonly Insertion[] {
    const linears = namedLinears(model);
    return keys.filter((key) => ownKey.test(key)).flatMap((key) => {
      const linear = linears.get(key.replace(ownKey, ""));
      return linear ? [insertIa3(linear, new Ia3(linear, isOnInput(file, key)))] : [];
    });
  },
};

const ownKey = /\.ia3_l$/;

// A row scales what goes in, a column what comes out.
function isOnInput(file: WeightsFile, key: string): boolean {
  return file.tensors.get(keyPrefix + key)?.shape[0] === 1;
}

function ia3Linears(model: SequenceClassifier): Map<string, Ia3> {
  const found = adaptedLinears(model).entries().flatMap(([key, { adapters }]: [string, Linear]) =>
    adapters.flatMap((ia3) => ia3 instanceof Ia3 ? [[key, ia3] as const] : [])
  );
  return new Map(found);
}
