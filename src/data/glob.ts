// Patterns of paths, as dataset cards have them: `*` and `?` within a name, `**` across folders, `[...]` and `{a,b}`.

/** Characters that may stand in a place of the path, once, or any number of times. */
interface Part {
  readonly matches: (character: string) => boolean;
  readonly repeats: boolean;
}

/** Whether a path is one that the pattern means. Takes time in proportion to the lengths of both. */
export function matchesPattern(path: string, pattern: string): boolean {
  return alternatives(pattern.replace(/^\.?\//, "")).some((each) => matchesParts(path, partsOf(each)));
}

const mostAlternatives = 1000;

// The patterns without braces that one with braces stands for; folders in between may also be none.
function alternatives(pattern: string): string[] {
  const done: string[] = [];
  for (
    const open = [pattern.replaceAll(/(?<=^|\/)\*\*\//g, "{,***/}")];
    open.length > 0 && open.length + done.length <= mostAlternatives;
  ) {
    const next = open.pop() ?? "";
    const braces = /\{([^{}]*)\}/.exec(next);
    if (!braces) done.push(next);
    else open.push(...(braces[1] ?? "").split(",").map((choice) => next.replace(braces[0], () => choice)));
  }
  return done;
}

const inName = (character: string): boolean => character !== "/";

function partsOf(pattern: string): Part[] {
  const words = pattern.match(/\*+|\[!?[^\]]+\]|./gsu) ?? [];
  return words.map((word) => {
    if (word.startsWith("*")) return { matches: word === "*" ? inName : () => true, repeats: true };
    if (word === "?") return { matches: inName, repeats: false };
    if (word.length > 1 && word.startsWith("[")) return { matches: inSet(word.slice(1, -1)), repeats: false };
    return { matches: (character) => character === word, repeats: false };
  });
}

function inSet(set: string): (character: string) => boolean {
  const isNegated = set.startsWith("!");
  const ranges = [...set.slice(isNegated ? 1 : 0).matchAll(/(.)-(.)|(.)/gsu)];
  return (character) =>
    ranges.some(([, from, to, one]) => one === character || (from ?? "~") <= character && character <= (to ?? "")) !==
      isNegated;
}

// The places in the pattern where a reader of the path can be, character by character.
function matchesParts(path: string, parts: readonly Part[]): boolean {
  let places = withSkipped(new Set([0]), parts);
  for (const character of path) {
    const next = new Set<number>();
    for (const place of places) {
      const part = parts[place];
      if (part?.matches(character)) next.add(part.repeats ? place : place + 1);
    }
    places = withSkipped(next, parts);
  }
  return places.has(parts.length);
}

function withSkipped(places: Set<number>, parts: readonly Part[]): Set<number> {
  for (const place of places) if (parts[place]?.repeats) places.add(place + 1);
  return places;
}
