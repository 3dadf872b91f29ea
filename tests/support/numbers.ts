// Numbers for the tests: fixed ones that look random, and distances between lists of them.

/** `count` fixed numbers between -1.5 and 1.5, none of them near 0. */
export function someNumbers(count: number, seed = 1): number[] {
  return Array.from({ length: count }, (_, index) => {
    const wave = Math.sin(12.9898 * (index + 1) + 78.233 * seed) * 43758.5453;
    const part = wave - Math.floor(wave);
    return part < 0.5 ? -0.1 - 2.8 * part : 0.1 + 2.8 * (part - 0.5);
  });
}

/** The Euclidean length. */
export function norm(numbers: readonly number[]): number {
  return Math.sqrt(numbers.reduce((sum, number) => sum + number * number, 0));
}

/** The Euclidean length of the difference. */
export function distance(a: readonly number[], b: readonly number[]): number {
  return norm(a.map((number, index) => number - (b[index] ?? NaN)));
}
