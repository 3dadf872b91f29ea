// Thrift's compact protocol, only walked through: that a message is whole, and no number in it without an end.

// Types of fields and elements. A boolean field's value is in its type; as an element it is a byte.
const isTrue = 1, isFalse = 2, byte = 3, double = 7, binary = 8, list = 9, struct = 12;
const integers = [4, 5, 6];

const longestNumber = 10;
const deepest = 32;

/**
 * The number of bytes of the struct that begins at `from`. hyparquet, which reads it, needs a time that grows with the
 * square of a number's length, and memory for as many elements as a list announces.
 *
 * Throws an ordinary error where the message is cut off or damaged.
 */
export function messageLength(bytes: Uint8Array, from: number): number {
  return new Walk(bytes, from).struct(0) - from;
}

class Walk {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Walks over a struct, and gives the place behind it. */
  struct(depth: number): number {
    if (depth > deepest) throw new Error("its description of the data is too deep");
    for (let header = this.#byte(); (header & 15) !== 0; header = this.#byte()) {
      if (header >>> 4 === 0) this.#number();
      const type = header & 15;
      if (type !== isTrue && type !== isFalse) this.#value(type, depth + 1);
    }
    return this.#at;
  }

  #value(type: number, depth: number): void {
    if (integers.includes(type)) this.#number();
    else if (type === isTrue || type === isFalse || type === byte) this.#skip(1);
    else if (type === double) this.#skip(8);
    else if (type === binary) this.#skip(this.#number());
    else if (type === list) this.#list(depth);
    else if (type === struct) this.struct(depth);
    else throw new Error(`its description of the data has a part of the unknown type ${type}`);
  }

  #list(depth: number): void {
    if (depth > deepest) throw new Error("its description of the data is too deep");
    const header = this.#byte();
    const count = header >>> 4 === 15 ? this.#number() : header >>> 4;
    // Each takes a byte or more.
    if (count > this.#bytes.length - this.#at) {
      throw new Error("its description of the data has a list longer than the file");
    }
    for (let index = 0; index < count; index++) this.#value(header & 15, depth + 1);
  }

  #number(): number {
    let value = 0;
    for (let digit = 0; digit < longestNumber; digit++) {
      const part = this.#byte();
      value += (part & 0x7f) * 2 ** (7 * digit);
      if (part < 0x80) return value;
    }
    throw new Error("its description of the data has a number without an end");
  }

  #skip(count: number): void {
    this.#at += count;
    if (this.#at > this.#bytes.length) throw new Error("its description of the data is longer than the file");
  }

  #byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw new Error("its description of the data is cut off");
    return value;
  }
}
