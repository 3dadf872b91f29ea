// TFRecord, the framing of TensorBoard's files: https://www.tensorflow.org/tutorials/load_data/tfrecord.
//
// Length (8 bytes, little-endian), its masked checksum (4), the data, and its masked checksum (4).

/** Frames a record. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(data.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedChecksum(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedChecksum(data), true);
  return record;
}

// So that the checksum of data that holds checksums is a good one.
function maskedChecksum(bytes: Uint8Array): number {
  const checksum = crc32c(bytes);
  return ((checksum >>> 15 | checksum << 17) + 0xa282ead8) >>> 0;
}

/** The cyclic redundancy check with Castagnoli's polynomial (RFC 3720, B.4), as an unsigned number of 32 bits. */
export function crc32c(bytes: Uint8Array): number {
  let checksum = ~0;
  for (const byte of bytes) checksum = (table[(checksum ^ byte) & 0xff] ?? 0) ^ checksum >>> 8;
  return ~checksum >>> 0;
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder >>> 1 ^ (remainder & 1 ? 0x82f63b78 : 0);
  return remainder;
});
