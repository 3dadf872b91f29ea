// Module: named parameters in a tree whose paths are the keys of the state dict.

import {
  detachFromScope,
  type Device,
  type DType,
  empty,
  type Generator,
  noGrad,
  requiresGrad_,
  scope,
  type Tensor,
} from "../torch/mod.ts";

/** A part of a model. The path of names down to a parameter is its key in the state dict. */
export interface Module {
  /** Parameters of its own, by name. */
  readonly parameters?: Readonly<Record<string, Tensor>>;
  /** Parts, by name. */
  readonly children?: Readonly<Record<string, Module>>;
  /** Gives the module's own parameters their first values; weights are normal with deviation `std`. */
  initialize?(random: Generator, std: number): void;
}

/** Where and in what type parameters are made. */
export interface ParameterOptions {
  readonly device?: Device;
  readonly dtype?: DType;
}

/** An uninitialised parameter: it belongs to no scope and requires a gradient. */
export function parameter(shape: readonly number[], options: ParameterOptions = {}): Tensor {
  return scope(() => detachFromScope(requiresGrad_(empty(shape, { dtype: "float32", ...options }))));
}

/** Every parameter with its key, in the order of the tree. A tied parameter comes once, under its first key. */
export function namedParameters(module: Module): Map<string, Tensor> {
  const found = new Map<string, Tensor>();
  const seen = new Set<Tensor>();
  for (const [key, tensor] of walk(module, "")) {
    if (!seen.has(tensor)) found.set(key, tensor);
    seen.add(tensor);
  }
  return found;
}

function* walk(module: Module, prefix: string): Iterable<[string, Tensor]> {
  for (const [name, tensor] of Object.entries(module.parameters ?? {})) yield [prefix + name, tensor];
  for (const [name, child] of Object.entries(module.children ?? {})) yield* walk(child, `${prefix}${name}.`);
}

/** Every part with its key, the module itself (under the empty key) first. A part that comes twice has its first key. */
export function namedModules(module: Module): Map<string, Module> {
  const found = new Map<string, Module>();
  const seen = new Set<Module>();
  for (const [key, part] of walkModules(module, "")) {
    if (!seen.has(part)) found.set(key, part);
    seen.add(part);
  }
  return found;
}

function* walkModules(module: Module, key: string): Iterable<[string, Module]> {
  yield [key, module];
  for (const [name, child] of Object.entries(module.children ?? {})) {
    yield* walkModules(child, key === "" ? name : `${key}.${name}`);
  }
}

/** The parameters that training changes: those that require a gradient. */
export function trainedParameters(module: Module): Tensor[] {
  return [...namedParameters(module).values()].filter((tensor) => tensor.requiresGrad);
}

/** Says of all parameters whether training changes them. */
export function setTrained(module: Module, isTrained: boolean): void {
  scope(() => namedParameters(module).forEach((tensor) => requiresGrad_(tensor, isTrained)));
}

/** Which parameters are meant, by their keys. */
export type KeyFilter = (key: string) => boolean;

/** Gives parameters their first values: those of every part that has one whose key passes the filter. */
export function initializeParameters(
  module: Module,
  random: Generator,
  std: number,
  filter: KeyFilter = () => true,
): void {
  noGrad(() => initializeBelow(module, random, std, filter, ""));
}

function initializeBelow(module: Module, random: Generator, std: number, filter: KeyFilter, prefix: string): void {
  if (Object.keys(module.parameters ?? {}).some((name) => filter(prefix + name))) module.initialize?.(random, std);
  for (const [name, child] of Object.entries(module.children ?? {})) {
    initializeBelow(child, random, std, filter, `${prefix}${name}.`);
  }
}

/** Frees all parameters of a module and its parts. */
export function disposeModule(module: Module): void {
  for (const tensor of namedParameters(module).values()) tensor.dispose();
}

/** The bytes of all parameters. */
export function parameterBytes(module: Module): number {
  return [...namedParameters(module).values()].reduce((sum, tensor) => sum + tensor.byteLength, 0);
}
