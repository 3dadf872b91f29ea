// The patterns of a tokenizer.json: a string, or a regular expression of the kind that takes linear time.

import { described, field, type Fields, fieldsOf } from "./fields.ts";
import { spaceClass } from "./unicode.ts";

/**
 * The pattern of a `Replace` or `Split`, as a global expression.
 *
 * A regular expression of a file may take exponential time, and JavaScript cannot stop one. So only those are taken in
 * which an alternative has at most two choices, and repeats without bound at most at its end: whatever it fails on, it
 * has looked at no more than a few characters. `\s+(?!\S)`, which all of GPT-2's kind have, is let through.
 *
 * @throws {Error} when it is neither, or another kind of expression
 */
export function readPattern(value: unknown, what: string): RegExp {
  const fields = fieldsOf(value, `${what}'s pattern`);
  const literal = field(fields, "String");
  if (typeof literal === "string" && literal !== "") return new RegExp(escaped(literal), "gu");
  return regularExpression(fields, what);
}

function regularExpression(fields: Fields, what: string): RegExp {
  const source = field(fields, "Regex");
  if (typeof source !== "string" || source === "") {
    throw new Error(`${what} has neither a string nor a regular expression as its pattern`);
  }
  if (source.length > 1000 || !linear.test(source)) {
    throw new Error(`${what} has the regular expression ${described(source)}, which could take too long on some texts`);
  }
  return new RegExp(inUnicode(source), "gu");
}

const classItem = String.raw`(?:\\[sSdDrntf\\\]\[^-]|\\p\{\w{1,20}\}|[^\\\[\]&])`;
const atom = String.raw`(?:\\[sSdDrntf.+*?^$|(){}\\/'-]|\\[pP]\{\w{1,20}\}|\[\^?${classItem}+\]|[^\\[\](){}.*+?^$|])`;
const fixed = String.raw`(?:${atom}(?:\{\d{1,2}\})?)*`;
const choice = String.raw`(?:${atom}(?:\?|\{\d,\d\})|\(\?:${atom}+(?:\|${atom}+){0,9}\))`;
const unbounded = String.raw`${atom}(?:[+*]|\{\d{1,2},\})`;
const alternative = String.raw`(?:${fixed}(?:${choice}${fixed}){0,2}(?:${unbounded})?|\\s\+\(\?!\\S\))`;
const linear = new RegExp(`^${alternative}(?:\\|${alternative})*$`, "u");

/** Oniguruma's `\s` and `\d` are Unicode's. */
function inUnicode(source: string): string {
  return source.replace(/\\([\s\S])/g, (escape, letter: string) => {
    switch (letter) {
      case "s":
        return spaceClass;
      case "S":
        return "\\P{White_Space}";
      case "d":
        return "\\p{Nd}";
      case "D":
        return "\\P{Nd}";
      case "'":
        return "'";
      default:
        return escape;
    }
  });
}

function escaped(literal: string): string {
  return literal.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
