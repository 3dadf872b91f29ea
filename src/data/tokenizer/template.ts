// Where a tokenizer puts its special tokens, and how much of a text and its pair fits between them.

import { described, field, type Fields, fieldsOf, list, text, tokenId, typeOf } from "./fields.ts";

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

/** The templates of a text, and of a text and its pair. */
export interface Templates {
  readonly single: Template;
  readonly pair: Template;
}

const what = "its post_processor";

const plain: Templates = {
  single: [{ kind: "text", type: 0 }],
  pair: [{ kind: "text", type: 0 }, { kind: "pair", type: 1 }],
};

/**
 * Reads the `post_processor` of a tokenizer.json.
 *
 * @throws {Error} when it is not a known one
 */
export function readTemplates(section: unknown): Templates {
  if (section === undefined || section === null) return plain;
  const fields = fieldsOf(section, what);
  const type = typeOf(fields, what);
  switch (type) {
    case "TemplateProcessing":
      return { single: readTemplate(fields, "single"), pair: readTemplate(fields, "pair") };
    case "BertProcessing":
      return aroundTexts(readSpecial(fields, "cls"), [readSpecial(fields, "sep")], 1);
    case "RobertaProcessing": {
      const separator = readSpecial(fields, "sep");
      return aroundTexts(readSpecial(fields, "cls"), [separator, separator], 0);
    }
    case "ByteLevel":
      return plain;
    case "Sequence":
      return oneOf(list(fields, "processors", what));
    default:
      throw new Error(`${what} is a ${described(type)}, which is not known`);
  }
}

/** A `ByteLevel` changes offsets only; two that place tokens are not nested. */
function oneOf(processors: readonly unknown[]): Templates {
  const placing = processors.map(readTemplates).filter((templates) => templates !== plain);
  if (placing.length > 1) throw new Error(`${what} is a Sequence of ${placing.length} that place special tokens`);
  return placing[0] ?? plain;
}

function aroundTexts(start: number, between: readonly number[], pairType: number): Templates {
  const special = (id: number, type: number): TemplatePart => ({ kind: "special", id, type });
  const end = between.at(-1) ?? start;
  return {
    single: [special(start, 0), { kind: "text", type: 0 }, special(end, 0)],
    pair: [
      special(start, 0),
      { kind: "text", type: 0 },
      ...between.map((id) => special(id, 0)),
      { kind: "pair", type: pairType },
      special(end, pairType),
    ],
  };
}

function readSpecial(fields: Fields, name: string): number {
  const [token, id] = list(fields, name, what);
  if (typeof token !== "string") throw new Error(`${what} has no token for "${name}"`);
  return tokenId(id, token);
}

function readTemplate(fields: Fields, name: "single" | "pair"): Template {
  const parts = list(fields, name, what).flatMap((part) => readPart(fieldsOf(part, what), fields));
  for (const kind of name === "pair" ? ["text", "pair"] : ["text"]) {
    const count = parts.filter((part) => part.kind === kind).length;
    if (count !== 1) throw new Error(`${what} places the ${kind} ${count} times in its "${name}"`);
  }
  if (name === "single" && parts.some((part) => part.kind === "pair")) {
    throw new Error(`${what} places a pair in its "single"`);
  }
  return parts;
}

function readPart(part: Fields, processor: Fields): TemplatePart[] {
  const sequence = field(part, "Sequence");
  if (sequence !== undefined) {
    const fields = fieldsOf(sequence, what);
    const name = text(fields, "id", what);
    if (name !== "A" && name !== "B") throw new Error(`${what} places the sequence ${described(name)}`);
    return [{ kind: name === "A" ? "text" : "pair", type: readType(fields) }];
  }
  const fields = fieldsOf(field(part, "SpecialToken"), `${what}'s special token`);
  const name = text(fields, "id", what);
  const specials = fieldsOf(field(processor, "special_tokens"), `${what}'s special_tokens`);
  const special = fieldsOf(field(specials, name), `${what}'s special token ${described(name)}`);
  const type = readType(fields);
  return list(special, "ids", what).map((id) => ({ kind: "special", id: tokenId(id, name), type }));
}

function readType(fields: Fields): number {
  return tokenId(field(fields, "type_id") ?? 0, "a segment");
}

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
