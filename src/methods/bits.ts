// Bits in bytes: the lowest bit of a byte is the first.

/** Packs zeros and ones, eight to a byte; what is left of the last byte is 0. */
export function packBits(bits: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(bits.length / 8));
  for (let index = 0; index < bits.length; index++) {
    const byte = index >> 3;
    packed[byte] = (packed[byte] ?? 0) | (bits[index] ?? 0) << (index & 7);
  }
  return packed;
}

/** The first `count` bits, each in a byte of its own. */
export function unpackBits(packed: Uint8Array, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => (packed[index >> 3] ?? 0) >> (index & 7) & 1);
}
