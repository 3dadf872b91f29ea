// Reads an ATen schema at run time: the same reading as in schema_types.ts, as data.

import { SchemaError } from "../errors.ts";

/** A type in a schema: its base name, and whether it is a list or may be None. */
export interface SchemaType {
  readonly base: string;
  readonly isList: boolean;
  readonly isOptional: boolean;
  readonly isOptionalElement: boolean;
}

/** One argument of an operator. */
export interface SchemaArgument {
  /** In camelCase. */
  readonly name: string;
  readonly type: SchemaType;
  readonly hasDefault: boolean;
  readonly isKeyword: boolean;
}

/** An operator's schema, taken apart. */
export interface Schema {
  readonly name: string;
  readonly overload: string;
  readonly arguments: readonly SchemaArgument[];
  readonly returns: readonly SchemaType[];
}

/** Takes a schema apart. Throws {@linkcode SchemaError} for text that is none. */
export function parseSchema(text: string): Schema {
  // "(a -> *)" marks the list that a view operator returns; it says nothing of types.
  const parts = /^([\w:]+)(?:\.(\w+))?\((.*)\) -> (.+)$/s.exec(text.replaceAll("(a -> *)", ""));
  const [, name, overload = "", list, returns] = parts ?? [];
  if (name === undefined || list === undefined || returns === undefined) {
    throw new SchemaError(`not an operator schema: ${JSON.stringify(text)}`);
  }
  const declared = splitOutsideBrackets(list);
  const star = declared.indexOf("*");
  return {
    name,
    overload,
    arguments: declared.filter((argument) => argument !== "*").map((argument, index) =>
      parseArgument(argument, star >= 0 && index >= star)
    ),
    returns: splitOutsideBrackets(/^\((.*)\)$/.exec(returns)?.[1] ?? returns).map((type) => parseType(firstWord(type))),
  };
}

function parseArgument(text: string, isKeyword: boolean): SchemaArgument {
  const space = text.indexOf(" ");
  const [name = "", ...defaults] = text.slice(space + 1).split("=");
  return { name: camelCase(name), type: parseType(text.slice(0, space)), hasDefault: defaults.length > 0, isKeyword };
}

function parseType(text: string): SchemaType {
  const plain = text.replaceAll(/\([^)]*\)/g, "");
  const [, base = plain, element, list, optional] = /^(\w+)(\?)?(\[\d*\])?(\?)?$/.exec(plain) ?? [];
  const isList = list !== undefined;
  return {
    base,
    isList,
    isOptional: optional !== undefined || (element !== undefined && !isList),
    isOptionalElement: isList && element !== undefined,
  };
}

function splitOutsideBrackets(list: string): string[] {
  return list === "" ? [] : list.split(/, (?![^[\]]*\])/);
}

function firstWord(text: string): string {
  return text.split(" ")[0] ?? text;
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
