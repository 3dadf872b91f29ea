// SentencePiece's unigram model: of all ways to split a word into pieces, the one with the largest sum of scores.
// Written here because the npm package's knows no byte fallback, and copies a node for every edge that it looks at.

/** What an unknown character costs more than the least likely piece, in SentencePiece. */
const unknownPenalty = 10;

/** A vocabulary, and how a word becomes ids of it. */
interface Unigram {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly split: (word: string) => readonly number[];
}

/**
 * Viterbi's algorithm over the pieces that begin at each character (Kudo, 2018), with the ties as Rust's
 * `encode_optimized` breaks them: the first of equal paths stays. Unknown characters in a row become one token.
 *
 * @param pieces each with its score (log probability); a piece's id is its place
 * @param unknown the id of the unknown token
 * @param byteFallback whether what is unknown becomes its bytes' tokens `<0x00>` to `<0xFF>`
 */
export function unigram(pieces: readonly [string, number][], unknown: number, byteFallback: boolean): Unigram {
  const vocabulary = new Map(pieces.map(([piece], id) => [piece, id]));
  const sorted = [...vocabulary].filter(([piece]) => piece !== "").sort(([a], [b]) => a < b ? -1 : 1);
  const scores = pieces.map(([, score]) => score);
  const unknownScore = scores.reduce((least, score) => Math.min(least, score), Infinity) - unknownPenalty;
  const trie: Trie = { sorted, starts: firstUnits(sorted) };

  const bestPath = (word: string): Path => {
    const path: Path = {
      score: new Float64Array(word.length + 1),
      start: new Int32Array(word.length + 1).fill(-1),
      id: new Int32Array(word.length + 1),
    };
    const offer = (start: number, end: number, id: number, score: number): void => {
      const total = score + (path.score[start] ?? 0);
      if (path.start[end] !== -1 && !(total > (path.score[end] ?? 0))) return;
      path.score[end] = total;
      path.start[end] = start;
      path.id[end] = id;
    };
    for (let start = 0; start < word.length;) {
      const next = start + ((word.codePointAt(start) ?? 0) > 0xffff ? 2 : 1);
      let hasCharacter = false;
      forPrefixes(trie, word, start, (end, id) => {
        offer(start, end, id, scores[id] ?? 0);
        hasCharacter ||= end === next;
      });
      if (!hasCharacter) offer(start, next, unknown, unknownScore);
      start = next;
    }
    return path;
  };
  const idsOf = (part: string): readonly number[] => {
    const id = vocabulary.get(part);
    return id !== undefined ? [id] : (byteFallback ? byteIds(vocabulary, part) : undefined) ?? [unknown];
  };
  return { vocabulary, split: (word) => partsOf(word, bestPath(word), unknown).flatMap(idsOf) };
}

/** For each end of a piece: the best score up to there, and the last piece of that path. */
interface Path {
  readonly score: Float64Array;
  readonly start: Int32Array;
  readonly id: Int32Array;
}

function partsOf(word: string, path: Path, unknown: number): string[] {
  const parts: string[] = [];
  for (let end = word.length; end > 0;) {
    let start = path.start[end] ?? 0;
    if (path.id[end] === unknown) {
      while (start > 0 && path.id[start] === unknown) start = path.start[start] ?? 0;
    }
    parts.push(word.slice(start, end));
    end = start;
  }
  return parts.reverse();
}

function byteIds(vocabulary: ReadonlyMap<string, number>, part: string): number[] | undefined {
  const ids: number[] = [];
  for (const byte of new TextEncoder().encode(part)) {
    const id = vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}

/** Sorted pieces, and where those begin and end that start with a UTF-16 unit: all prefixes lie in narrowing ranges. */
interface Trie {
  readonly sorted: readonly (readonly [piece: string, id: number])[];
  readonly starts: ReadonlyMap<number, readonly [from: number, to: number]>;
}

function firstUnits(sorted: Trie["sorted"]): Trie["starts"] {
  const starts = new Map<number, [number, number]>();
  for (const [index, [piece]] of sorted.entries()) {
    const range = starts.get(piece.charCodeAt(0));
    if (range) range[1] = index + 1;
    else starts.set(piece.charCodeAt(0), [index, index + 1]);
  }
  return starts;
}

/** Calls `found` for every piece that `word` has at `start`, the shortest first. */
function forPrefixes(trie: Trie, word: string, start: number, found: (end: number, id: number) => void): void {
  let [from, to] = trie.starts.get(word.charCodeAt(start)) ?? [0, 0];
  for (let length = 1; from < to; length++) {
    const first = trie.sorted[from];
    if (first?.[0].length === length) {
      found(start + length, first[1]);
      from++;
    }
    if (start + length >= word.length) return;
    const unit = word.charCodeAt(start + length);
    from = firstNotBelow(trie, from, to, length, unit);
    to = firstNotBelow(trie, from, to, length, unit + 1);
  }
}

/** The first of the pieces in a range, alike up to `depth`, whose unit there is not below `unit`. */
function firstNotBelow(trie: Trie, from: number, to: number, depth: number, unit: number): number {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((trie.sorted[middle]?.[0].charCodeAt(depth) ?? 0) < unit) from = middle + 1;
    else to = middle;
  }
  return from;
}
