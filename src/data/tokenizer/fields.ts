// Reads values out of a tokenizer's JSON, whose types nobody has checked.

/** An object of JSON whose fields may hold anything. */
export type Fields = Readonly<Record<string, unknown>>;

/** @throws {Error} that names `what`, when the value is no object */
export function fieldsOf(value: unknown, what: string): Fields {
  if (isFields(value)) return value;
  throw new Error(`${what} is not an object but ${described(value)}`);
}

/** Whether the value is an object and no array. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A field's own value: what an object inherits is none of its fields. */
export function field(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** How deep a section may hold sections: so many calls are on the stack when a text is encoded. */
export const deepestNesting = 16;

/** The `type` of a section. @throws {Error} when it has none */
export function typeOf(fields: Fields, what: string): string {
  return text(fields, "type", what);
}

/** A field that must be a string. @throws {Error} when it is not, and there is no default */
export function text(fields: Fields, name: string, what: string, orElse?: string): string {
  const value = field(fields, name) ?? orElse;
  if (typeof value === "string") return value;
  throw new Error(`${what} has no string for "${name}" but ${described(value)}`);
}

/** A field that is true or false, and `orElse` where it is absent or null. @throws {Error} when it is anything else */
export function flag(fields: Fields, name: string, what: string, orElse: boolean): boolean {
  const value = field(fields, name) ?? orElse;
  if (typeof value === "boolean") return value;
  throw new Error(`${what} has neither true nor false for "${name}" but ${described(value)}`);
}

/** A field that must be an array. @throws {Error} when it is not */
export function list(fields: Fields, name: string, what: string): readonly unknown[] {
  const value = field(fields, name);
  if (Array.isArray(value)) return value;
  throw new Error(`${what} has no list for "${name}" but ${described(value)}`);
}

/** A token's id. @throws {Error} when it is no integer from 0 to 2^31 - 1 */
export function tokenId(value: unknown, token: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
  throw new Error(`it gives ${described(token)} the id ${described(value)}`);
}

/** A value in a few characters, for a message. */
export function described(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
}
