// The kinds of values that options have: what each allows, and the words in which a message says so.

import * as z from "npm:zod@4.6.7";

/** What messages and help texts need to know of a kind, besides what it allows. */
export interface ValueFacts {
  /** What is allowed, as it follows "it has to be". */
  readonly allowed: string;
  /** What stands for the value in a help text, without brackets; a switch has none. */
  readonly placeholder?: string;
  /** Whether it names a place on this machine: always, or when something is there. */
  readonly path?: "always" | "where it exists";
}

/** The facts of each schema that is made here. */
export const valueFacts: z.core.$ZodRegistry<ValueFacts> = z.registry<ValueFacts>();

/** The facts of a schema, whether it has a default or not. */
export function factsOf(schema: z.ZodType): ValueFacts {
  const facts = valueFacts.get(withoutDefault(schema));
  if (!facts) throw new TypeError("the schema is of no kind that is declared in values.ts");
  return facts;
}

/** The schema of what is allowed where something is given. */
export function withoutDefault(schema: z.ZodType): z.ZodType {
  const canBeLeftOut = schema instanceof z.ZodDefault || schema instanceof z.ZodOptional;
  return canBeLeftOut ? schema.unwrap() as z.ZodType : schema;
}

/** The value that stands for one that is not given; undefined where there is none. */
export function defaultOf(schema: z.ZodType): unknown {
  return schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined;
}

/** What a number can be. */
export interface Range {
  readonly least?: number;
  readonly above?: number;
  readonly most?: number;
  readonly below?: number;
}

/** A whole number. */
export function wholeNumber(range: Pick<Range, "least" | "most">, placeholder = "count"): z.ZodType<number> {
  return within(z.int(), range).register(valueFacts, { allowed: inWords("a whole number", range), placeholder });
}

/** A finite number. */
export function number(range: Range, placeholder = "number"): z.ZodType<number> {
  return within(z.number(), range).register(valueFacts, { allowed: inWords("a number", range), placeholder });
}

function within<Schema extends z.ZodNumber>(schema: Schema, { least, above, most, below }: Range): Schema {
  const checks = [
    ...(least === undefined ? [] : [z.gte(least)]),
    ...(above === undefined ? [] : [z.gt(above)]),
    ...(most === undefined ? [] : [z.lte(most)]),
    ...(below === undefined ? [] : [z.lt(below)]),
  ];
  return schema.check(...checks);
}

function inWords(what: string, { least, above, most, below }: Range): string {
  if (least !== undefined && most !== undefined) return `${what} from ${least} to ${most}`;
  const bounds = Object.entries({ "of at least": least, above, "of at most": most, below });
  const told = bounds.flatMap(([words, bound]) => bound === undefined ? [] : [`${words} ${bound}`]);
  return `${what} ${told.join(" and ")}`;
}

/** True or false; as a flag a switch. */
export function trueOrFalse(): z.ZodType<boolean> {
  return z.boolean().register(valueFacts, { allowed: "true or false" });
}

/** One of some words. */
export function oneOf<const Word extends string>(words: readonly Word[], placeholder: string): z.ZodType<Word> {
  return z.enum(words).register(valueFacts, { allowed: either(words), placeholder });
}

/** `a, b or c`. */
export function either(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** A text that is not blank. */
export function text(allowed: string, placeholder: string): z.ZodType<string> {
  return notBlank().register(valueFacts, { allowed, placeholder });
}

/** A file on this machine. */
export function fileName(): z.ZodType<string> {
  return notBlank().register(valueFacts, { allowed: "the name of a file", placeholder: "file", path: "always" });
}

/** A folder on this machine. */
export function folderName(): z.ZodType<string> {
  return notBlank().register(valueFacts, { allowed: "the name of a folder", placeholder: "dir", path: "always" });
}

/** A folder on this machine, or what the hub calls a model. */
export function modelName(): z.ZodType<string> {
  const allowed = "the folder of a model, or its name on the hub";
  return notBlank().register(valueFacts, { allowed, placeholder: "model", path: "where it exists" });
}

function notBlank(): z.ZodString {
  return z.string().regex(/^[^\0]*\S[^\0]*$/);
}

/** A list of names. */
export function nameList(): z.ZodType<readonly string[]> {
  return z.array(z.string().regex(/\S/)).min(1).register(valueFacts, {
    allowed: "a list of names, separated by commas",
    placeholder: "names",
  });
}

/** Two numbers of the same range. */
export function pairOf(range: Range): z.ZodType<readonly [number, number]> {
  const each = within(z.number(), range);
  return z.tuple([each, each]).register(valueFacts, {
    allowed: `two numbers, each ${inWords("", range).trim()}`,
    placeholder: "numbers",
  });
}

/** A number above 0 for each label, or numbers that balance them. */
export function labelWeights(): z.ZodType<"balanced" | Readonly<Record<string, number>>> {
  // An object's prototype is no label, and zod would pass it over.
  const weights = z.record(z.string().regex(/^(?!__proto__$)/), within(z.number(), { above: 0 }));
  return z.union([z.literal("balanced"), weights]).register(valueFacts, {
    allowed: "balanced, or a number above 0 for each label, such as spam=2,ham=1",
    placeholder: "weights",
  });
}

/** A number of bytes, also in words: `1400MiB`. */
export function byteCount(): z.ZodType<number> {
  const inUnits = z.string().regex(/^\s*\d+(\.\d+)?\s*([KMG]iB)?\s*$/i).transform(bytesOf);
  return z.union([z.number(), inUnits]).pipe(z.number().gt(0)).register(valueFacts, {
    allowed: "a number of bytes above 0, such as 1400MiB or 2GiB",
    placeholder: "bytes",
  });
}

function bytesOf(words: string): number {
  const unit = /[kmg]ib/i.exec(words)?.[0].toLowerCase() ?? "";
  return Math.floor(parseFloat(words) * 1024 ** ["", "kib", "mib", "gib"].indexOf(unit));
}

/** Positions of each sequence: a number of them, a share of them, or all. */
export function selectionSize(): z.ZodType<number | "all"> {
  const size = z.union([z.literal("all"), z.int().gte(1), z.number().gt(0).lt(1)]);
  return size.register(valueFacts, {
    allowed: "a whole number of at least 1, a share between 0 and 1 such as 0.25, or all",
    placeholder: "count",
  });
}

/** Where to compute. */
export function deviceName(): z.ZodType<string> {
  return z.string().regex(/^(cpu|cuda(:(0|[1-9]\d{0,3}))?)$/).register(valueFacts, {
    allowed: "cpu, cuda or cuda:N",
    placeholder: "device",
  });
}
