// Finds a key that a JSON text has twice, of which `JSON.parse` silently keeps the last.

/** The first key that comes twice in one object of the valid JSON text, or undefined. */
export function findRepeatedKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === "{") open.push(new Set());
    else if (character === "}") open.pop();
    else if (character === '"') {
      const end = endOfString(json, at);
      if (isFollowedByColon(json, end)) {
        const key: string = JSON.parse(json.slice(at, end + 1));
        if (open.at(-1)?.has(key)) return key;
        open.at(-1)?.add(key);
      }
      at = end;
    }
  }
  return undefined;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
  return at;
}

function isFollowedByColon(json: string, end: number): boolean {
  let at = end + 1;
  while (/\s/.test(json[at] ?? "")) at++;
  return json[at] === ":";
}
