// The masks that dropout has to draw, written down a second time: one random byte decides an element.

import { Generator, ops, scope, toTypedArray } from "../../mod.ts";

/** Which of `count` elements are dropped by a generator in that state. */
export function droppedAt(count: number, probability: number, state: Uint8Array): boolean[] {
  using random = new Generator(0);
  random.setState(state);
  return scope(() => {
    const words = ops.empty([Math.ceil(count / 8)], { dtype: "int64" });
    const bytes = new Uint8Array(toTypedArray(ops.random_(words, -(2n ** 63n), null, { generator: random })).buffer);
    return Array.from(bytes.subarray(0, count), (byte) => byte < Math.round(256 * probability));
  });
}
