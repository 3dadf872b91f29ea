// The names of methods: how their words combine, and what is refused.

import assert from "node:assert/strict";
import { parseMethod } from "../../mod.ts";

const meanings:
  readonly (readonly [text: string, name: string, isSelective: boolean, isFrozen: boolean, weights: string])[] = [
    ["full", "full", false, false, "full"],
    ["selective", "selective", true, false, "full"],
    ["selective+full", "selective", true, false, "full"],
    ["lora", "lora", false, false, "lora"],
    ["selective+lora", "selective+lora", true, false, "lora"],
    ["lora + selective", "selective+lora", true, false, "lora"],
    ["freeze", "freeze", false, true, "full"],
    ["selective+freeze", "selective+freeze", true, true, "full"],
    ["freeze+lora", "freeze+lora", false, true, "lora"],
    ["bitfit+lora", "lora+bitfit", false, false, "lora+bitfit"],
    ["lora+freeze+selective", "selective+freeze+lora", true, true, "lora"],
  ];

for (const [text, name, isSelective, isFrozen, weights] of meanings) {
  Deno.test(`${text} is ${name}, and so is that`, () => {
    for (const method of [parseMethod(text), parseMethod(name)]) {
      assert.deepEqual(
        [method.name, method.isSelective, method.isFrozen, method.weights.map(({ name }) => name).join("+")],
        [name, isSelective, isFrozen, weights],
      );
    }
  });
}

const refusals: readonly (readonly [text: string, reason: RegExp])[] = [
  ["best", /the method is "best", but "best" is none that is known; .*selective, freeze, full, lora/],
  ["", /but "" is none that is known/],
  ["selective+", /but "" is none that is known/],
  ["LoRA", /but "LoRA" is none that is known \(did you mean lora\?\)/],
  ["lora+lora", /but lora comes twice/],
  ["full+lora", /but full cannot be together with lora: it trains every weight/],
  ["mask+lora", /but mask cannot be together with lora: what LoRA adds to a weight/],
  ["ia3+mask", /but mask cannot be together with ia3: what \(IA\)\^3 scales/],
  ["diff+bitfit", /but diff cannot be together with bitfit: both change the same weights/],
  ["selective+mask+diff", /but diff cannot be together with mask: /],
  ["full+freeze", /but with frozen layers it is not full/],
  ["constructor", /but "constructor" is none/],
];

for (const [text, message] of refusals) {
  Deno.test(`refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseMethod(text), { name: "OptionError", message });
  });
}
