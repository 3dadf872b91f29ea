// Where a tokenizer puts its special tokens, and how much of a text and its pair fits between them.

/** Ids with their segments: what a model is given of one example, without padding. */
export interface Encoding {
  readonly inputIds: number[];
  /** 0 for the first text, 1 for the second, as the tokenizer assigns them; of the same length as `inputIds`. */
  readonly tokenTypeIds: number[];
}

/** One place of a template: a special token, or all of a text. */
export type TemplatePart =
  | { readonly kind: "special"; readonly id: number; readonly type: number }
  | { readonly kind: "text" | "pair"; readonly type: number };

/** The parts in order, such as `[CLS] text [SEP] pair [SEP]`. */
export type Template = readonly TemplatePart[];

/** How many of a template's tokens are special, and so cannot be truncated. */
export function countSpecial(template: Template): number {
  return template.filter((part) => part.kind === "special").length;
}

/** Puts the ids of the text (and its pair) in their places. */
export function fillTemplate(template: Template, text: readonly number[], pair: readonly number[] = []): Encoding {
  const inputIds: number[] = [];
  const tokenTypeIds: number[] = [];
  for (const part of template) {
    const ids = part.kind === "special" ? [part.id] : part.kind === "text" ? text : pair;
    for (const id of ids) {
      inputIds.push(id);
      tokenTypeIds.push(part.type);
    }
  }
  return { inputIds, tokenTypeIds };
}

/**
 * How many tokens of two texts to keep so that both fit into `room`: Hugging Face's `longest_first`. The longer one is
 * cut first; when both must be, each keeps half, and the odd token goes to the longer (to the second, if equally long).
 */
export function keepLongestFirst(text: number, pair: number, room: number): [text: number, pair: number] {
  if (text + pair <= room) return [text, pair];
  const shorter = Math.min(text, pair, Math.floor(room / 2));
  return text > pair ? [room - shorter, shorter] : [shorter, room - shorter];
}
