// Operators, declared by their ATen schema and called through the shim's one generic call.

import { OptionError, SchemaError, TorchError } from "../errors.ts";
import { cBytes, check, cString, shim } from "../native/load.ts";
import { input, output } from "../native/slots.ts";
import { type Device, deviceCode } from "./device.ts";
import { type DType, dtypeCode } from "./dtype.ts";
import type { Generator } from "./random.ts";
import { parseSchema, type Schema, type SchemaArgument, type SchemaType } from "./schema.ts";
import type { OperatorFunction } from "./schema_types.ts";
import { Tensor } from "./tensor.ts";

type Write = (value: never) => void;
type Read = () => unknown;

const encoder = new TextEncoder();

const writers: Readonly<Record<string, Write>> = {
  Tensor: (tensor: Tensor) => input.writeInteger(tensor.handle),
  int: (value: number | bigint) => input.writeInteger(wholeNumber(value)),
  SymInt: (value: number | bigint) => input.writeInteger(wholeNumber(value)),
  float: (value: number) => input.writeReal(value),
  bool: (value: boolean) => input.writeInteger(value ? 1 : 0),
  Scalar: writeScalar,
  str: (value: string) => input.writeBytes(encoder.encode(value)),
  ScalarType: (dtype: DType) => input.writeInteger(dtypeCode(dtype)),
  Layout: (value: number) => input.writeInteger(value),
  MemoryFormat: (value: number) => input.writeInteger(value),
  Device: (device: Device) => deviceCode(device).forEach((part) => input.writeInteger(part)),
  Generator: (generator: Generator) => input.writeInteger(generator.handle),
};

const readers: Readonly<Record<string, Read>> = {
  Tensor: () => new Tensor(output.readInteger()),
  int: () => output.readInteger(),
  SymInt: () => output.readInteger(),
  float: () => output.readReal(),
  bool: () => output.readInteger() !== 0,
  Scalar: readScalar,
};

/**
 * Declares an operator by its ATen schema, exactly as LibTorch prints it. The type system reads the arguments and
 * results from the text; at the first call the text is compared with the loaded LibTorch's own.
 *
 * @throws {SchemaError} at the first call, when LibTorch has no such operator or another schema for it
 * @throws {TorchError} when LibTorch refuses the arguments
 *
 * @example
 * ```ts
 * import { initialize, operator, tensorFrom, toTypedArray } from "../../mod.ts";
 * await initialize();
 * const cumulativeSum = operator("aten::cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor");
 * using x = tensorFrom([1, 2, 3]);
 * using y = cumulativeSum(x, 0);
 * console.assert(toTypedArray(y).join() === "1,3,6");
 * ```
 */
export function operator<const S extends string>(schema: S): OperatorFunction<S> {
  let call: ((...values: unknown[]) => unknown) | undefined;
  const declared = (...values: unknown[]): unknown => (call ??= resolve(schema))(...values);
  return declared as OperatorFunction<S>;
}

function resolve(text: string): (...values: unknown[]) => unknown {
  const schema = parseSchema(text);
  const pointer = find(schema, text);
  const writeArguments = schema.arguments.map(argumentWriter);
  const positional = schema.arguments.filter((argument) => !argument.isKeyword).length;
  const read = resultReader(schema.returns);
  return (...values) => {
    input.rewind();
    const options = values[positional] as Record<string, unknown> | undefined;
    writeArguments.forEach((write, index) => {
      write((index < positional ? values[index] : options?.[schema.arguments[index]?.name ?? ""]) as never);
    });
    const status = shim().ft_operator_call(pointer, input.buffer, output.rewind().buffer, output.capacity);
    if (status !== 0) check(status, `${schema.name}(${describeTensors(schema, values)})`);
    return read();
  };
}

function find(schema: Schema, text: string): Deno.PointerValue {
  const pointer = shim().ft_operator_find(cBytes(schema.name), cBytes(schema.overload));
  if (pointer === null) {
    throw new SchemaError(
      `the loaded LibTorch has no operator ${schema.name}${
        schema.overload && "." + schema.overload
      }, declared as ${text}`,
    );
  }
  const theirs = cString(shim().ft_operator_schema(pointer));
  if (theirs !== text) throw new SchemaError(`declared here: ${text}; the loaded LibTorch has: ${theirs}`);
  return pointer;
}

function argumentWriter(argument: SchemaArgument): Write {
  const write = valueWriter(argument.type);
  const { hasDefault, name, type: { isOptional } } = argument;
  return (value: unknown) => {
    if (hasDefault || isOptional) input.writeInteger(value === undefined ? 0 : value === null ? 2 : 1);
    else if (value === undefined || value === null) throw new TorchError(`argument ${name} is missing`);
    if (value !== undefined && value !== null) write(value as never);
  };
}

function valueWriter(type: SchemaType): Write {
  const write = writers[type.base];
  if (write === undefined) throw new SchemaError(`no value of type ${type.base} can be passed to an operator`);
  if (!type.isList) return write;
  return (values: readonly unknown[]) => {
    input.writeInteger(values.length);
    for (const value of values) {
      if (value === null && type.isOptionalElement) input.writeInteger(0);
      else write(value as never);
    }
  };
}

function resultReader(types: readonly SchemaType[]): Read {
  const reads = types.map(valueReader);
  const [only] = reads;
  if (reads.length === 0) return () => undefined;
  return reads.length === 1 && only ? only : () => reads.map((read) => read());
}

function valueReader(type: SchemaType): Read {
  const read = readers[type.base];
  if (read === undefined) throw new SchemaError(`no result of type ${type.base} can be read from an operator`);
  return type.isList ? () => Array.from({ length: output.readInteger() }, read) : read;
}

function wholeNumber(value: number | bigint): number | bigint {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new OptionError(`${value} is no whole number that fits`);
  }
  return value;
}

function writeScalar(value: number | boolean): void {
  if (typeof value === "boolean") {
    input.writeInteger(2);
    input.writeInteger(value ? 1 : 0);
  } else if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    input.writeInteger(0);
    input.writeInteger(value);
  } else {
    input.writeInteger(1);
    input.writeReal(value);
  }
}

function readScalar(): number | boolean {
  const kind = output.readInteger();
  if (kind === 1) return output.readReal();
  const value = output.readInteger();
  return kind === 2 ? value !== 0 : value;
}

function describeTensors(schema: Schema, values: readonly unknown[]): string {
  return schema.arguments.flatMap(({ name }, index) => {
    const tensors = [values[index]].flat().filter((value) => value instanceof Tensor);
    const shapes = tensors.slice(0, 8).map(({ dtype, shape }) => `${dtype}[${shape}]`);
    return shapes.length > 0 ? [`${name}: ${shapes.join(", ")}${tensors.length > 8 ? ", ..." : ""}`] : [];
  }).join(", ");
}
