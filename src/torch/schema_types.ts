// The type system reads an operator's ATen schema and gives the type of the function that calls it.

import type { Device } from "./device.ts";
import type { DType } from "./dtype.ts";
import type { Generator } from "./random.ts";
import type { Tensor } from "./tensor.ts";

interface TypeNames {
  Tensor: Tensor;
  int: number | bigint;
  SymInt: number | bigint;
  float: number;
  bool: boolean;
  Scalar: number | boolean;
  str: string;
  ScalarType: DType;
  Layout: number;
  MemoryFormat: number;
  Device: Device;
  Generator: Generator;
}

interface ResultNames {
  Tensor: Tensor;
  int: number;
  SymInt: number;
  float: number;
  bool: boolean;
  Scalar: number | boolean;
}

type WithoutAlias<S extends string> = S extends `${infer Head}(${string})${infer Tail}` ? `${Head}${Tail}` : S;

type ArgumentType<S extends string> = S extends `${infer Element}?` ? ArgumentType<Element> | null
  : S extends `${infer Element}[${string}]` ? readonly ArgumentType<Element>[]
  : S extends keyof TypeNames ? TypeNames[S]
  : never;

type ResultType<S extends string> = S extends `${infer Element}[${string}]` ? ResultType<Element>[]
  : S extends keyof ResultNames ? ResultNames[S]
  : never;

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

type Argument<S extends string> = S extends `${infer Type} ${infer Name}=${string}`
  ? { name: CamelCase<Name>; type: ArgumentType<WithoutAlias<Type>>; omissible: true }
  : S extends `${infer Type} ${infer Name}`
    ? { name: CamelCase<Name>; type: ArgumentType<WithoutAlias<Type>>; omissible: false }
  : never;

type HasOpenBracket<S extends string> = S extends `${string}[${infer Inside}`
  ? Inside extends `${string}]${infer After}` ? HasOpenBracket<After> : true
  : false;

// Splits at ", " outside of brackets.
type Split<S extends string, Before extends string = ""> = S extends "" ? []
  : S extends `${infer Head}, ${infer Tail}`
    ? HasOpenBracket<`${Before}${Head}`> extends true ? Split<Tail, `${Before}${Head}, `>
    : [`${Before}${Head}`, ...Split<Tail>]
  : [`${Before}${S}`];

type Positional<A extends readonly string[]> = A extends
  readonly [infer First extends string, ...infer Rest extends string[]] ? First extends "*" ? []
  : Argument<First>["omissible"] extends true ? [value?: Argument<First>["type"], ...Positional<Rest>]
  : [value: Argument<First>["type"], ...Positional<Rest>]
  : [];

type AfterStar<A extends readonly string[]> = A extends readonly [infer First, ...infer Rest extends string[]]
  ? First extends "*" ? Rest : AfterStar<Rest>
  : [];

type OptionFields<A extends readonly string[]> =
  & {
    [I in A[number] as Argument<I>["omissible"] extends true ? Argument<I>["name"] : never]?: Argument<I>["type"];
  }
  & {
    [I in A[number] as Argument<I>["omissible"] extends true ? never : Argument<I>["name"]]: Argument<I>["type"];
  };

type Options<A extends readonly string[]> = A extends readonly [] ? []
  : Record<never, never> extends OptionFields<A> ? [options?: OptionFields<A>]
  : [options: OptionFields<A>];

type WithoutName<S extends string> = S extends `${infer Type} ${string}` ? Type : S;

type ResultList<A extends readonly string[]> = A extends
  readonly [infer First extends string, ...infer Rest extends string[]]
  ? [ResultType<WithoutAlias<WithoutName<First>>>, ...ResultList<Rest>]
  : [];

type Returned<S extends string> = S extends "()" ? void
  : S extends `(${infer List})` ? ResultList<Split<List>>
  : ResultType<WithoutAlias<S>>;

// "(a -> *)" marks the list that a view operator returns; it says nothing of types.
type WithoutListAlias<S extends string> = S extends `${infer Head}(a -> *)${infer Tail}` ? `${Head}${Tail}` : S;

type ArgumentsOf<S extends string> = S extends `${infer Head} -> ${string}`
  ? Head extends `${string}(${infer List})` ? Split<List> : never
  : never;

type ReturnsOf<S extends string> = S extends `${string}) -> ${infer Result}` ? Returned<Result> : never;

/**
 * The function that calls the operator of an ATen schema: positional arguments in order (those with a default may be
 * left out), then an object of those behind the schema's `*`, in camelCase.
 */
export type OperatorFunction<S extends string> = (
  ...values: [
    ...Positional<ArgumentsOf<WithoutListAlias<S>>>,
    ...Options<AfterStar<ArgumentsOf<WithoutListAlias<S>>>>,
  ]
) => ReturnsOf<WithoutListAlias<S>>;
