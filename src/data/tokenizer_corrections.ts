// What @huggingface/tokenizers 0.2.0 does otherwise than the Rust tokenizers, set right before a text reaches it.

/** The CJK ideographs outside the Basic Multilingual Plane that the Rust implementation puts spaces around. */
const rareIdeograph = /[\u{20000}-\u{2A6DF}\u{2A700}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

/**
 * Two corrections for a `BertNormalizer`; the identity for any other. The npm package looks at UTF-16 units one by one,
 * so that it misses the rare ideographs; and it lowercases by the whole word, so that a Greek word's last sigma becomes
 * a final one where the Rust implementation, which lowercases by the character, writes the ordinary.
 *
 * What cannot be set right here: the two know different versions of Unicode. About 680 rare characters (marks,
 * punctuation and format characters of scripts such as Tai Tham, Bhaiksuki or Chorasmian) are stripped or split off by
 * one and not by the other.
 *
 * @param normalizer the `normalizer` section of a tokenizer.json
 */
export function textCorrection(normalizer: unknown): (text: string) => string {
  if (!isBertNormalizer(normalizer)) return (text) => text;
  return (text) => {
    const lowered = normalizer.lowercase ? text.replaceAll("\u03A3", "\u03C3") : text;
    return normalizer.handle_chinese_chars ? lowered.replace(rareIdeograph, " $& ") : lowered;
  };
}

interface BertNormalizer {
  readonly lowercase?: boolean;
  readonly handle_chinese_chars?: boolean;
}

function isBertNormalizer(value: unknown): value is BertNormalizer {
  return typeof value === "object" && value !== null && "type" in value && value.type === "BertNormalizer";
}
