// The name that was probably meant: the one that fewest changes of letters make of what was written.

/**
 * The nearest of some names, or undefined when none is near: at most two changes, and two thirds of it right. A change
 * is a letter more, less, another, or two neighbours exchanged (Damerau 1964); case and what joins words do not count.
 */
export function nearestName(written: string, names: readonly string[]): string | undefined {
  if (written.length > 100) return undefined;
  const rated = names.map((name) => ({ name, changes: changesBetween(letters(written), letters(name)) }));
  const near = rated.filter(({ name, changes }) =>
    changes <= Math.min(2, Math.floor(name.length / 3)) || changes === 0
  );
  return near.toSorted((one, other) => one.changes - other.changes)[0]?.name;
}

function letters(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, "");
}

// Optimal string alignment: the table's rows, of which an exchange looks back at two.
function changesBetween(one: string, other: string): number {
  let [before, row]: [number[], number[]] = [[], Array.from({ length: other.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const isSame = one[i - 1] === other[j - 1];
      const isExchanged = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      next[j] = Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (isSame ? 0 : 1),
        isExchanged ? (before[j - 2] ?? 0) + 1 : Infinity,
      );
    }
    [before, row] = [row, next];
  }
  return row[other.length] ?? 0;
}
