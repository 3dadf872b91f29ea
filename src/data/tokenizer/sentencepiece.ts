// SentencePiece's model file, of which the pieces, their scores and the charsmap are read: a protocol buffer.

/** A piece of the vocabulary; its id is its place. */
export interface Piece {
  readonly piece: string;
  readonly score: number;
  readonly kind: "normal" | "control" | "user" | "other";
}

/** What a model file holds of a unigram model. */
export interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  /** The compiled normalization; empty where there is none. */
  readonly charsmap: Uint8Array;
}

/**
 * Reads a `ModelProto` (sentencepiece_model.proto): its pieces are field 1 (piece 1, score 2, type 3), the trainer's
 * settings field 2 (the type of model 3), the normalizer's field 3 (the charsmap 2).
 *
 * @throws {Error} when it is cut or no such message, or its model is no unigram model
 */
export function readSentencePiece(bytes: Uint8Array): SentencePieceModel {
  const pieces: Piece[] = [];
  let charsmap = new Uint8Array(0);
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value === "number") continue;
    if (number === 1) pieces.push(readPiece(value));
    if (number === 2) requireUnigram(value);
    if (number === 3) charsmap = Uint8Array.from(lastBytes(value, 2) ?? charsmap);
  }
  if (pieces.length < 4) throw new Error(`it is a SentencePiece model of ${pieces.length} pieces`);
  return { pieces, charsmap };
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function readPiece(bytes: Uint8Array): Piece {
  let piece = "";
  let score = 0;
  let type = 1;
  for (const { number, wire, value } of fieldsOf(bytes)) {
    if (number === 1 && typeof value !== "number") piece = decoder.decode(value);
    if (number === 2 && wire === 5 && typeof value !== "number") score = viewOf(value).getFloat32(0, true);
    if (number === 3 && typeof value === "number") type = value;
  }
  return { piece, score, kind: type === 1 ? "normal" : type === 3 ? "control" : type === 4 ? "user" : "other" };
}

function requireUnigram(trainer: Uint8Array): void {
  for (const { number, value } of fieldsOf(trainer)) {
    if (number === 3 && value !== 1) throw new Error("it is a SentencePiece model, but not of the unigram kind");
  }
}

function lastBytes(message: Uint8Array, wanted: number): Uint8Array | undefined {
  let found: Uint8Array | undefined;
  for (const { number, value } of fieldsOf(message)) {
    if (number === wanted && typeof value !== "number") found = value;
  }
  return found;
}

interface Field {
  readonly number: number;
  readonly wire: number;
  /** A number of wire type 0; the bytes of any other. */
  readonly value: number | Uint8Array;
}

/** The fields of a message in their order. */
function* fieldsOf(bytes: Uint8Array): Iterable<Field> {
  let at = 0;
  const take = (length: number): Uint8Array => {
    if (!(length <= bytes.length - at)) throw new Error("it is no SentencePiece model, or the end of it is missing");
    return bytes.subarray(at, at += length);
  };
  const varint = (): number => {
    let value = 0;
    for (let factor = 1, length = 0; length < 10; factor *= 128, length++) {
      const [byte = 0] = take(1);
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new Error("it is no SentencePiece model: a number in it does not end");
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    const number = Math.floor(tag / 8);
    if (wire === 0) yield { number, wire, value: varint() };
    else if (wire === 1) yield { number, wire, value: take(8) };
    else if (wire === 2) yield { number, wire, value: take(varint()) };
    else if (wire === 5) yield { number, wire, value: take(4) };
    else throw new Error(`it is no SentencePiece model: it has a field of the unknown kind ${wire}`);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
