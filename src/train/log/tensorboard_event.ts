// TensorBoard's messages, as bytes of protocol buffers: tensorboard/compat/proto/event.proto and summary.proto.

/** What every event has. */
export interface EventTime {
  /** Seconds since 1970. */
  readonly seconds: number;
  readonly step: number;
}

/** The first event of a file. */
export function versionEvent(seconds: number): Uint8Array {
  return message([double(1, seconds), text(3, "brain.Event:2")]);
}

/** A run begins, or goes on: what TensorBoard has of this step and later ones is no longer shown. */
export function sessionStart({ seconds, step }: EventTime): Uint8Array {
  return message([double(1, seconds), varint(2, step), nested(7, [varint(1, 1)])]);
}

/** Numbers by tag, kept as 32-bit floats. */
export function scalarsEvent({ seconds, step }: EventTime, scalars: Readonly<Record<string, number>>): Uint8Array {
  const values = Object.entries(scalars).map(([tag, value]) => nested(1, [text(1, tag), float(2, value)]));
  return message([double(1, seconds), varint(2, step), nested(5, values)]);
}

type Bytes = readonly number[];

function message(fields: readonly Bytes[]): Uint8Array {
  return Uint8Array.from(fields.flat());
}

const wireTypes = { varint: 0, double: 1, bytes: 2, float: 5 } as const;

function key(field: number, type: keyof typeof wireTypes): Bytes {
  return [field << 3 | wireTypes[type]];
}

// Of a whole number from 0, seven bits a byte, the lowest first.
function varintBytes(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 0x7f; value = Math.floor(value / 0x80)) bytes.push(value % 0x80 | 0x80);
  return [...bytes, value];
}

function varint(field: number, value: number): Bytes {
  return [...key(field, "varint"), ...varintBytes(value)];
}

function double(field: number, value: number): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return [...key(field, "double"), ...bytes];
}

function float(field: number, value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return [...key(field, "float"), ...bytes];
}

function text(field: number, value: string): Bytes {
  return delimited(field, [...new TextEncoder().encode(value)]);
}

function nested(field: number, fields: readonly Bytes[]): Bytes {
  return delimited(field, fields.flat());
}

function delimited(field: number, bytes: Bytes): Bytes {
  return [...key(field, "bytes"), ...varintBytes(bytes.length), ...bytes];
}
