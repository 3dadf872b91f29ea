// The 8-byte slots in which values cross to the shim and back: one buffer each way, used by one call at a time.

import { FewtuneError } from "../errors.ts";

const capacity = 1 << 16;
const twoTo32 = 2 ** 32;

/** A run of slots with a cursor, written in order and then read in order. */
export class Slots {
  readonly buffer: Uint8Array<ArrayBuffer> = new Uint8Array(8 * capacity);
  readonly capacity = capacity;
  readonly #low = new Uint32Array(this.buffer.buffer);
  readonly #signed = new Int32Array(this.buffer.buffer);
  readonly #real = new Float64Array(this.buffer.buffer);
  readonly #wide = new BigInt64Array(this.buffer.buffer);
  #at = 0;

  /** Goes back to the first slot. */
  rewind(): this {
    this.#at = 0;
    return this;
  }

  /** Writes a whole number; one beyond 2^53 has to be a bigint. */
  writeInteger(value: number | bigint): void {
    const at = this.#claim(1);
    if (typeof value === "bigint") this.#wide[at] = value;
    else {
      this.#low[2 * at] = value;
      this.#signed[2 * at + 1] = Math.floor(value / twoTo32);
    }
  }

  writeReal(value: number): void {
    this.#real[this.#claim(1)] = value;
  }

  /** Writes the byte count, then the bytes padded to whole slots. */
  writeBytes(bytes: Uint8Array): void {
    this.writeInteger(bytes.length);
    const at = this.#claim(Math.ceil(bytes.length / 8));
    this.buffer.set(bytes, 8 * at);
  }

  readInteger(): number {
    const at = this.#at++;
    return (this.#signed[2 * at + 1] ?? 0) * twoTo32 + (this.#low[2 * at] ?? 0);
  }

  readReal(): number {
    return this.#real[this.#at++] ?? NaN;
  }

  #claim(count: number): number {
    const at = this.#at;
    this.#at += count;
    if (this.#at > capacity) {
      throw new FewtuneError(`one call can take ${capacity} slots of arguments, this one has more`);
    }
    return at;
  }
}

/** What goes to the shim. */
export const input: Slots = new Slots();

/** What comes back from it. */
export const output: Slots = new Slots();
