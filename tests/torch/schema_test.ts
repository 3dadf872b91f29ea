// Reading operator schemas: as data, and by the type system. The types are asserted by `deno check`.

import assert from "node:assert/strict";
import { type DType, type Generator, operator, type OperatorFunction, ops, type Tensor } from "../../mod.ts";
import { cBytes, cString, shim } from "../../src/native/load.ts";
import { parseSchema } from "../../src/torch/schema.ts";
import "../support/torch.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

function assertTrue<_ extends true>(): void {}

Deno.test("names, overloads, arguments and returns are taken apart", () => {
  const tensor = { base: "Tensor", isList: false, isOptional: false, isOptionalElement: false };
  const schema = parseSchema(
    'aten::f.over_load(Tensor(a!) self, SymInt[2]? some_size=[1, 2], Tensor?[] maybe, *, str mode="none") -> (Tensor(a!) out, int[] sizes)',
  );
  assert.deepEqual(schema, {
    name: "aten::f",
    overload: "over_load",
    arguments: [
      { name: "self", type: tensor, hasDefault: false, isKeyword: false },
      {
        name: "someSize",
        type: { base: "SymInt", isList: true, isOptional: true, isOptionalElement: false },
        hasDefault: true,
        isKeyword: false,
      },
      {
        name: "maybe",
        type: { base: "Tensor", isList: true, isOptional: false, isOptionalElement: true },
        hasDefault: false,
        isKeyword: false,
      },
      { name: "mode", type: { ...tensor, base: "str" }, hasDefault: true, isKeyword: true },
    ],
    returns: [tensor, { ...tensor, base: "int", isList: true }],
  });
});

Deno.test("no arguments, no results, and the alias of a list", () => {
  assert.deepEqual(parseSchema("aten::f() -> ()"), { name: "aten::f", overload: "", arguments: [], returns: [] });
  const split = parseSchema("aten::f(Tensor(a -> *) self, int n) -> Tensor(a)[]");
  assert.deepEqual(split.arguments.map(({ name, type }) => [name, type.base]), [["self", "Tensor"], ["n", "int"]]);
  assert.deepEqual(split.returns.map(({ base, isList }) => [base, isList]), [["Tensor", true]]);
});

Deno.test("text that is no schema is a SchemaError that shows it", () => {
  for (const text of ["", "aten::f", "aten::f(Tensor x)", "f(x -> y"]) {
    assert.throws(() => parseSchema(text), {
      name: "SchemaError",
      message: `not an operator schema: ${JSON.stringify(text)}`,
    });
  }
});

Deno.test("every operator of ops.ts is declared exactly as the loaded LibTorch has it", async () => {
  const text = await Deno.readTextFile(new URL("../../src/torch/ops.ts", import.meta.url));
  const schemas = [...text.matchAll(/^ {2}(["'])(aten::.*)\1,$/gm)].map(([, , schema = ""]) => schema);
  assert.equal(schemas.length, Object.keys(ops).length);
  for (const schema of schemas) {
    const { name, overload } = parseSchema(schema);
    const found = shim().ft_operator_find(cBytes(name), cBytes(overload));
    assert.equal(found === null ? null : cString(shim().ft_operator_schema(found)), schema);
  }
});

// Positional arguments, options behind the star, and results.
type Sum = OperatorFunction<"aten::f(Tensor self, int dim, bool keep=False, *, ScalarType? dtype=None) -> Tensor">;
assertTrue<Same<Parameters<Sum>["length"], 2 | 3 | 4>>();
assertTrue<Same<Parameters<Sum>[0], Tensor>>();
assertTrue<Same<Parameters<Sum>[1], number | bigint>>();
assertTrue<Same<Parameters<Sum>[2], boolean | undefined>>();
assertTrue<Same<NonNullable<Parameters<Sum>[3]>["dtype"], DType | null | undefined>>();
assertTrue<Same<ReturnType<Sum>, Tensor>>();
assertTrue<Same<ReturnType<OperatorFunction<"aten::f() -> ()">>, void>>();
assertTrue<Same<ReturnType<OperatorFunction<"aten::f() -> bool">>, boolean>>();
assertTrue<Same<ReturnType<OperatorFunction<"aten::f() -> Scalar">>, number | boolean>>();
assertTrue<Same<ReturnType<OperatorFunction<"aten::f() -> (Tensor values, int n)">>, [Tensor, number]>>();
assertTrue<Same<ReturnType<OperatorFunction<"aten::f(Tensor(a -> *) x) -> Tensor(a)[]">>, Tensor[]>>();
assertTrue<
  Same<Parameters<OperatorFunction<"aten::f(Tensor(a -> *) x, int[2] n=[1, 2]) -> Tensor(a)[]">>["length"], 1 | 2>
>();
assertTrue<
  Same<Parameters<OperatorFunction<"aten::f(Tensor?[] x) -> ()">>[0], readonly (Tensor | null)[]>
>();
assertTrue<Same<Parameters<OperatorFunction<"aten::f(float[]? x) -> ()">>[0], readonly number[] | null>>();
assertTrue<
  Same<
    NonNullable<Parameters<OperatorFunction<"aten::f(*, Generator? generator=None) -> ()">>[0]>["generator"],
    Generator | null | undefined
  >
>();
assertTrue<Same<ReturnType<typeof ops.equal>, boolean>>();
assertTrue<Same<ReturnType<typeof ops.runBackward>, void>>();

/** Never called: each line has one mistake that the type system has to find. */
export function mistakes(x: Tensor): void {
  // @ts-expect-error a number is no tensor
  ops.add(x, 1);
  // @ts-expect-error the second tensor is missing
  ops.add(x);
  // @ts-expect-error one argument too many
  ops.tanh(x, x);
  // @ts-expect-error a shape is a list
  ops.view(x, 3);
  // @ts-expect-error text is no number
  ops.narrow(x, 0, "0", 1);
  // @ts-expect-error such a dtype does not exist
  ops.sum(x, { dtype: "float33" });
  // @ts-expect-error such an option does not exist
  ops.sum(x, { dtyp: "float32" });
  // @ts-expect-error a required option is missing
  ops.fusedAdamw_([], [], [], [], [], [], { lr: 1, beta1: 0.9, beta2: 0.9, weightDecay: 0, eps: 1, amsgrad: false });
  // @ts-expect-error the required options are missing
  ops.fusedAdamw_([], [], [], [], [], []);
  // @ts-expect-error null is no tensor
  ops.tanh(null);
  // @ts-expect-error a list of tensors is no tensor
  ops.tanh([x]);
  // @ts-expect-error a result of nothing is no tensor
  ops.runBackward(x, []).shape;
  // @ts-expect-error a tuple is no tensor
  operator("aten::f(Tensor x) -> (Tensor, Tensor)")(x).shape;
  // @ts-expect-error such a device does not exist
  ops.zeros([1], { device: "tpu" });
}
