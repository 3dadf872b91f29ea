// Reads pickles of plain values. Nothing is executed: a global is one of those that the caller knows, or refused.
//
// The opcodes are those that `pickle` (protocols 2 to 5) writes for dictionaries of tensors: Python's Lib/pickletools.py.

import { quoteName } from "./shown.ts";

/** A function or class that a pickle names; without `call` it may be named only. */
export class PickleGlobal {
  constructor(readonly name: string, readonly call?: (args: readonly unknown[]) => unknown) {}
}

/** What the caller lends to a pickle. */
export interface PickleContext {
  /** The global of a name such as `collections.OrderedDict`, or undefined to refuse it. */
  findGlobal(name: string): PickleGlobal | undefined;
  /** What stands for an object that is kept outside of the pickle. */
  loadPersistent(id: unknown): unknown;
  /** Throws the error that names the file. */
  fail(reason: string): never;
}

/** The largest pickle that is read, in bytes: names and shapes of some 100,000 tensors. */
export const maxPickleBytes = 1 << 24;

// Lists, dictionaries and what is remembered take more memory than the byte that makes one.
const maxKept = 1 << 20;

const maxGlobalBytes = 512;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The value of the pickle that begins at `from`, and where it ends. None, booleans, numbers (large ones are bigints) and
 * text are themselves; lists and tuples are arrays, dictionaries are Maps.
 */
export function unpickle(bytes: Uint8Array, context: PickleContext, from = 0): { value: unknown; end: number } {
  const machine = new Machine(bytes, context, from);
  return { value: machine.run(), end: machine.at };
}

class Machine {
  at: number;
  readonly stack: unknown[] = [];
  readonly marks: number[] = [];
  readonly memo = new Map<number, unknown>();
  readonly #view: DataView;
  #kept = 0;

  constructor(readonly bytes: Uint8Array, readonly context: PickleContext, from: number) {
    this.at = from;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): unknown {
    for (;;) {
      const opcode = this.uint8();
      if (opcode === stop) return this.pop();
      const operation = operations[opcode] ?? this.fail(`its pickle has the opcode ${describe(opcode)}`);
      operation(this);
    }
  }

  fail(reason: string): never {
    return this.context.fail(reason);
  }

  push(value: unknown): void {
    this.stack.push(value);
  }

  /** Pushes a new list, dictionary or object. */
  pushNew(value: unknown): void {
    this.#keep(1);
    this.push(value);
  }

  #keep(count: number): void {
    this.#kept += count;
    if (this.#kept > maxKept) this.fail(`its pickle holds more than ${maxKept} values`);
  }

  pop(): unknown {
    this.#require(1);
    return this.stack.pop();
  }

  /** The last value, which stays. */
  top(): unknown {
    this.#require(1);
    return this.stack.at(-1);
  }

  #require(count: number): void {
    if (this.stack.length - count < (this.marks.at(-1) ?? 0)) this.fail("its pickle takes a value where there is none");
  }

  /** The values since the last mark. */
  popToMark(): unknown[] {
    const mark = this.marks.pop() ?? this.fail("its pickle goes back to a mark that it did not set");
    return this.stack.splice(mark);
  }

  /** The last `count` values. */
  popSome(count: number): unknown[] {
    this.#require(count);
    return this.stack.splice(-count);
  }

  #advance(count: number): number {
    const start = this.at;
    if (!(count <= this.bytes.length - start)) this.fail("its pickle is truncated");
    this.at += count;
    return start;
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  uint64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  float64(): number {
    return this.#view.getFloat64(this.#advance(8));
  }

  /** A signed little-endian number of so many bytes. */
  integer(count: number): number | bigint {
    const start = this.#advance(count);
    let value = 0n;
    for (let at = start + count - 1; at >= start; at--) value = (value << 8n) | BigInt(this.#view.getUint8(at));
    const signed = BigInt.asIntN(8 * count, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  text(count: number): string {
    const start = this.#advance(count);
    try {
      return utf8.decode(this.bytes.subarray(start, this.at));
    } catch {
      return this.fail("its pickle has text that is not UTF-8");
    }
  }

  line(): string {
    const length = this.bytes.subarray(this.at, this.at + maxGlobalBytes).indexOf(newline);
    if (length < 0) this.fail("its pickle names a global without an end");
    const text = this.text(length);
    this.#advance(1);
    return text;
  }

  pushGlobal(module: unknown, name: unknown): void {
    if (typeof module !== "string" || typeof name !== "string") {
      return this.fail("its pickle names a global by no text");
    }
    const found = this.context.findGlobal(`${module}.${name}`);
    this.push(
      found ??
        this.fail(
          `its pickle asks for ${quoteName(`${module}.${name}`)}, which weights do not need: it was not called`,
        ),
    );
  }

  /** Calls a global on arguments. */
  reduce(args: unknown, callee: unknown): void {
    if (!(callee instanceof PickleGlobal) || !Array.isArray(args)) {
      return this.fail("its pickle calls what is no function");
    }
    if (!callee.call) this.fail(`its pickle calls ${callee.name}, which it may only name`);
    this.pushNew(callee.call?.(args));
  }

  append(values: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) return this.fail("its pickle adds to what is no list");
    for (const value of values) list.push(value);
  }

  setItems(values: readonly unknown[]): void {
    const dictionary = this.top();
    if (!(dictionary instanceof Map)) return this.fail("its pickle sets items of what is no dictionary");
    if (values.length % 2 !== 0) this.fail("its pickle sets a key without a value");
    this.#keep(values.length / 2);
    for (let at = 0; at < values.length; at += 2) {
      const key = values[at];
      if (typeof key !== "string" && typeof key !== "number") this.fail("its pickle has a key that is no text");
      dictionary.set(key, values[at + 1]);
    }
  }

  remember(index: number): void {
    this.#keep(1);
    this.memo.set(index, this.top());
  }

  recall(index: number): void {
    if (!this.memo.has(index)) this.fail(`its pickle recalls the value ${index} that it did not keep`);
    this.push(this.memo.get(index));
  }
}

const newline = "\n".charCodeAt(0);
const stop = ".".charCodeAt(0);

const operations: Readonly<Record<number, (machine: Machine) => void>> = {
  0x80: (machine) => void machine.uint8(), // PROTO
  0x95: (machine) => void machine.uint64(), // FRAME
  0x28: (machine) => void machine.marks.push(machine.stack.length), // MARK
  0x4e: (machine) => machine.push(null), // NONE
  0x88: (machine) => machine.push(true), // NEWTRUE
  0x89: (machine) => machine.push(false), // NEWFALSE
  0x4a: (machine) => machine.push(machine.int32()), // BININT
  0x4b: (machine) => machine.push(machine.uint8()), // BININT1
  0x4d: (machine) => machine.push(machine.uint16()), // BININT2
  0x8a: (machine) => machine.push(machine.integer(machine.uint8())), // LONG1
  0x47: (machine) => machine.push(machine.float64()), // BINFLOAT
  0x8c: (machine) => machine.push(machine.text(machine.uint8())), // SHORT_BINUNICODE
  0x58: (machine) => machine.push(machine.text(machine.uint32())), // BINUNICODE
  0x8d: (machine) => machine.push(machine.text(machine.uint64())), // BINUNICODE8
  0x5d: (machine) => machine.pushNew([]), // EMPTY_LIST
  0x29: (machine) => machine.pushNew([]), // EMPTY_TUPLE
  0x7d: (machine) => machine.pushNew(new Map()), // EMPTY_DICT
  0x74: (machine) => machine.pushNew(machine.popToMark()), // TUPLE
  0x85: (machine) => machine.pushNew(machine.popSome(1)), // TUPLE1
  0x86: (machine) => machine.pushNew(machine.popSome(2)), // TUPLE2
  0x87: (machine) => machine.pushNew(machine.popSome(3)), // TUPLE3
  0x61: (machine) => machine.append(machine.popSome(1)), // APPEND
  0x65: (machine) => machine.append(machine.popToMark()), // APPENDS
  0x73: (machine) => machine.setItems(machine.popSome(2)), // SETITEM
  0x75: (machine) => machine.setItems(machine.popToMark()), // SETITEMS
  0x71: (machine) => machine.remember(machine.uint8()), // BINPUT
  0x72: (machine) => machine.remember(machine.uint32()), // LONG_BINPUT
  0x94: (machine) => machine.remember(machine.memo.size), // MEMOIZE
  0x68: (machine) => machine.recall(machine.uint8()), // BINGET
  0x6a: (machine) => machine.recall(machine.uint32()), // LONG_BINGET
  0x63: (machine) => machine.pushGlobal(machine.line(), machine.line()), // GLOBAL
  0x93: (machine) => { // STACK_GLOBAL
    const [module, name] = machine.popSome(2);
    machine.pushGlobal(module, name);
  },
  0x52: (machine) => machine.reduce(machine.pop(), machine.pop()), // REDUCE
  0x51: (machine) => machine.pushNew(machine.context.loadPersistent(machine.pop())), // BINPERSID
  // BUILD: an attribute such as a state dict's _metadata, which says nothing of the weights.
  0x62: (machine) => void machine.pop(),
};

const refusedNames: Readonly<Record<number, string>> = {
  0x50: "PERSID",
  0x53: "STRING",
  0x69: "INST",
  0x6f: "OBJ",
  0x81: "NEWOBJ",
  0x82: "EXT1",
  0x83: "EXT2",
  0x84: "EXT4",
  0x92: "NEWOBJ_EX",
};

function describe(opcode: number): string {
  const name = refusedNames[opcode];
  return `0x${opcode.toString(16).padStart(2, "0")}${name ? ` (${name})` : ""}, which no weights need`;
}
