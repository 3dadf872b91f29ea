// From examples to what a model computes on: ids, segments and the label, without padding.
import type { Example } from "./examples.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** One example as numbers. Both arrays have a value for each token. */
export interface EncodedExample {
  readonly inputIds: Int32Array;
  readonly tokenTypeIds: Int32Array;
  /** The class's id, or in regression the target; absent where the example has none. */
  readonly label?: number;
}

/**
 * Encodes the examples in their order, each cut to `maxLength` tokens, special ones included.
 *
 * @throws {OptionError} when not even the special tokens fit
 */
export function encodeExamples(
  examples: readonly Example[],
  tokenizer: Tokenizer,
  maxLength: number,
): EncodedExample[] {
  return examples.map(({ text, textPair, label }) => {
    const { inputIds, tokenTypeIds } = tokenizer.encode(text, textPair, maxLength);
    return {
      inputIds: Int32Array.from(inputIds),
      tokenTypeIds: Int32Array.from(tokenTypeIds),
      ...(label !== undefined && { label }),
    };
  });
}
