// A small deterministic random generator whose state can be saved: the order of examples must survive a resume.

/** The whole state of a {@linkcode SeededRandom}: four unsigned 32-bit integers. */
export type RandomState = readonly [number, number, number, number];

/**
 * Chris Doty-Humphrey's sfc32 (Small Fast Counter, 32-bit, from PractRand): 128 bits of state, and a cycle of at least
 * 2^32 numbers from any state. The same seed gives the same numbers on every machine. Not for secrets.
 */
export class SeededRandom {
  #state = new Uint32Array(4);

  /** Seeds as PractRand does: the seed fills two words, and the first 12 outputs are thrown away. */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError(`a seed is a non-negative integer, not ${seed}`);
    this.#state.set([0, seed % 2 ** 32, Math.floor(seed / 2 ** 32), 1]);
    for (let round = 0; round < 12; round++) this.nextUint32();
  }

  /** A uniform integer from 0 to 2^32 - 1. */
  nextUint32(): number {
    const [a = 0, b = 0, c = 0, counter = 0] = this.#state;
    const result = (a + b + counter) >>> 0;
    this.#state[0] = b ^ (b >>> 9);
    this.#state[1] = c + (c << 3);
    this.#state[2] = ((c << 21) | (c >>> 11)) + result;
    this.#state[3] = counter + 1;
    return result;
  }

  /** A uniform integer from 0 to `bound` - 1, without the bias of a plain remainder. */
  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
      throw new RangeError(`a bound is an integer from 1 to 2^32, not ${bound}`);
    }
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let value = this.nextUint32();
    while (value >= limit) value = this.nextUint32();
    return value % bound;
  }

  /** Fisher-Yates, in place: every order is equally likely. */
  shuffle<Items extends number[] | Int32Array | Uint32Array>(items: Items): Items {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.below(last + 1);
      const kept = items[last] ?? 0;
      items[last] = items[other] ?? 0;
      items[other] = kept;
    }
    return items;
  }

  /** The state from here on; setting it continues the same sequence. */
  get state(): RandomState {
    const [a = 0, b = 0, c = 0, counter = 0] = this.#state;
    return [a, b, c, counter];
  }

  set state(state: RandomState) {
    this.#state.set(state);
  }
}
