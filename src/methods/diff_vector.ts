// The difference that diff pruning adds to one parameter: trained values, each behind a gate, and a gate for all of them.

import { CheckpointError } from "../errors.ts";
import { plainly } from "../files/shown.ts";
import type { SafetensorsSource } from "../files/safetensors_write.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import { parameterSources } from "../models/save.ts";
import { readParameter } from "../models/read_parameter.ts";
import { type Module, parameter } from "../nn/module.ts";
import {
  add_,
  clone,
  copy_,
  detachFromScope,
  empty,
  fill_,
  indexCopy_,
  indexFill_,
  indexSelect,
  isfinite,
  item,
  logit,
  mul,
  mul_,
  mulScalar_,
  narrow,
  noGrad,
  nonzero,
  requiresGrad_,
  scope,
  sum,
  type Tensor,
  tensorFrom,
  to,
  toDense,
  toTypedArray,
  view,
  zero_,
} from "../torch/mod.ts";
import { gatesOf, type Noise, openProbabilities, samplesOf, slopesOf, spreads } from "./hard_concrete.ts";

// What the gates of a step were made of.
interface Samples {
  readonly elements: Tensor;
  readonly group: Tensor | null;
}

/**
 * A parameter's difference z w, element by element, with the gates z of alpha, one for each element; structured, each
 * counts times the gate of the whole parameter (Guo et al. 2021, sections 3.1 and 3.2). Gates that are fixed are open or
 * closed for good: their alphas are infinite.
 */
export class DiffVector {
  readonly module: Module;
  /** The gates' parameters, vectors, so that weight decay leaves them. */
  readonly gates: readonly Tensor[];
  readonly #key: string;
  readonly #target: Tensor;
  readonly #base: Tensor;
  readonly #values: Tensor;
  readonly #alpha: Tensor;
  readonly #group: Tensor | null;
  #samples: Samples | null = null;

  /**
   * No difference, and every alpha as given.
   *
   * @param key the parameter's
   */
  constructor(key: string, target: Tensor, isStructured: boolean, alpha: number) {
    const where = { dtype: target.dtype, device: target.device };
    this.#key = key;
    this.#target = target;
    this.#base = noGrad(() => detachFromScope(clone(target)));
    this.#values = parameter(target.shape, where);
    this.#alpha = parameter([target.size], where);
    this.#group = isStructured ? parameter([1], where) : null;
    this.gates = this.#group ? [this.#alpha, this.#group] : [this.#alpha];
    const group = this.#group ? { diff_group_alpha: this.#group } : {};
    const parameters = { diff_values: this.#values, diff_alpha: this.#alpha, ...group, diff_base: this.#base };
    this.module = { children: { [key]: { parameters } } };
    requiresGrad_(target).dispose();
    noGrad(() => zero_(this.#values).dispose());
    for (const gate of this.gates) noGrad(() => fill_(gate, alpha).dispose());
  }

  get target(): Tensor {
    return this.#target;
  }

  get base(): Tensor {
    return this.#base;
  }

  /** Whether the gates are open or closed for good. */
  get isFixed(): boolean {
    return noGrad(() => scope(() => item(isfinite(narrow(this.#alpha, 0, 0, 1))) === 0));
  }

  /** Of fixed gates which are open, `[size]`, ones and zeros. */
  openGates(): Tensor {
    return gatesOf(samplesOf(this.#alpha, null));
  }

  /** The difference in evaluation, `[size]`. */
  difference(): Tensor {
    return scope(() => this.#gated(samplesOf(this.#alpha, null), this.#group && samplesOf(this.#group, null)));
  }

  /** The parameter is the base's and the difference. With noise, backward can follow. */
  compute(noise: Noise | null): void {
    this.#forgetSamples();
    const elements = samplesOf(this.#alpha, noise);
    const group = this.#group && samplesOf(this.#group, noise);
    const gated = this.#gated(elements, group);
    add_(copy_(this.#target, this.#base), view(gated, this.#target.shape));
    if (noise !== null) this.#samples = detachFromScope({ elements, group });
  }

  /**
   * Turns the parameter's gradient into those of the values and the gates.
   *
   * @param penalty what each gate that is not 0 costs: the gradient of their expected number (section 3.2) is added so
   * many times
   */
  backward(penalty: number): void {
    const gradient = this.#takeGradient();
    const samples = this.#samples;
    if (samples === null) {
      if (gradient !== null) this.#values.grad = view(mul(gradient, this.openGates()), this.#values.shape);
      return;
    }
    this.#setPenalty(penalty);
    if (gradient !== null) this.#addGradients(gradient, samples);
    this.#forgetSamples();
  }

  /** Opens the gates where `mask` `[size]` is 1, and closes them where it is 0, for good. */
  fix(mask: Tensor): void {
    copy_(this.#values, view(mul(this.difference(), mask), this.#values.shape));
    copy_(this.#alpha, logit(mask));
    this.#openGroup();
  }

  /** The places where `mask` is 1 and the difference there; none where there is no such place. */
  sources(mask: Tensor): readonly SafetensorsSource[] {
    return scope(() => {
      const places = view(nonzero(mask), [-1]);
      if (places.size === 0) return [];
      const indices = new Uint8Array(toTypedArray(to(places, { dtype: "int32" })).buffer);
      const kept = toTypedArray(indexSelect(this.difference(), 0, places));
      const values = new Uint8Array(kept.buffer);
      const [source] = parameterSources(new Map([[this.#valuesName, this.#values]]));
      const shape = [places.size];
      return [
        { name: this.#indicesName, dtype: "I32", shape, bytes: () => indices },
        { name: this.#valuesName, dtype: source?.dtype ?? "F32", shape, bytes: () => values },
      ];
    });
  }

  has(name: string): boolean {
    return name === this.#indicesName || name === this.#valuesName;
  }

  /** Sets the values and fixes the gates. Throws {@linkcode CheckpointError} when what is there cannot be. */
  read(file: WeightsFile): void {
    zero_(this.#values);
    fill_(this.#alpha, -Infinity);
    this.#openGroup();
    const indices = this.#readIndices(file);
    if (indices === null) return;
    const places = to(tensorFrom(indices, { device: this.#alpha.device }), { dtype: "int64" });
    const values = empty([indices.length], { dtype: this.#values.dtype, device: this.#values.device });
    readParameter(file, this.#valuesName, values);
    indexCopy_(view(this.#values, [-1]), 0, places, values);
    indexFill_(this.#alpha, 0, places, Infinity);
  }

  /** Gives the parameter the base's bits. */
  detach(): void {
    copy_(this.#target, this.#base);
  }

  /** Makes the parameter as it is the base's. */
  fold(): void {
    copy_(this.#base, this.#target);
  }

  get #indicesName(): string {
    return `${this.#key}.diff_indices`;
  }

  get #valuesName(): string {
    return `${this.#key}.diff_values`;
  }

  #gated(elements: Tensor, group: Tensor | null): Tensor {
    return scope(() => inGroup(mul_(gatesOf(elements), view(this.#values, [-1])), group));
  }

  // Flat; an embedding's may hold some rows only.
  #takeGradient(): Tensor | null {
    const gradient = this.#target.grad;
    this.#target.grad = null;
    if (gradient === null) return null;
    return view(gradient.isSparse ? toDense(gradient) : gradient, [-1]);
  }

  // The gates' gradients are those of sum p_i, structured of p sum p_i, where p_i = sigmoid(alpha_i).
  #setPenalty(penalty: number): void {
    const open = openProbabilities(this.#alpha);
    const whole = this.#group && openProbabilities(this.#group);
    if (this.#group !== null && whole !== null) {
      this.#group.grad = mul_(mulScalar_(spreads(whole), penalty), sum(open));
    }
    const gradient = mulScalar_(spreads(open), penalty);
    this.#alpha.grad = whole === null ? gradient : mul_(gradient, whole);
  }

  // The parameter's gradient becomes that of the values.
  #addGradients(gradient: Tensor, { elements, group }: Samples): void {
    scope(() => {
      const byGate = mul(gradient, view(this.#values, [-1]));
      this.#addGroupGradient(byGate, elements, group);
      addGradient(this.#alpha, inGroup(mul_(byGate, slopesOf(elements)), group));
    });
    this.#values.grad = view(inGroup(mul_(gradient, gatesOf(elements)), group), this.#values.shape);
  }

  #addGroupGradient(byGate: Tensor, elements: Tensor, group: Tensor | null): void {
    if (this.#group === null || group === null) return;
    const ofAll = scope(() => sum(mul(byGate, gatesOf(elements))));
    addGradient(this.#group, mul(ofAll, slopesOf(group)));
  }

  #openGroup(): void {
    if (this.#group !== null) fill_(this.#group, Infinity);
  }

  #readIndices(file: WeightsFile): Int32Array | null {
    const [indices, values] = [file.tensors.get(this.#indicesName), file.tensors.get(this.#valuesName)];
    if (indices === undefined && values === undefined) return null;
    const count = indices?.shape[0] ?? NaN;
    if (indices?.dtype !== "I32" || indices.shape.length !== 1 || values?.shape.join() !== `${count}`) {
      throw new CheckpointError(
        `${file.path}: ${plainly(this.#key)} has to have diff_indices of type I32 and as many diff_values`,
      );
    }
    const read = new Int32Array(count);
    file.readInto(this.#indicesName, new Uint8Array(read.buffer));
    const beyond = read.find((index) => index < 0 || index >= this.#values.size);
    if (beyond === undefined) return read;
    throw new CheckpointError(
      `${file.path}: ${plainly(this.#indicesName)} has ${beyond}, but the parameter has ${this.#values.size} elements`,
    );
  }

  #forgetSamples(): void {
    this.#samples?.elements.dispose();
    this.#samples?.group?.dispose();
    this.#samples = null;
  }
}

// What is behind the gates of elements is behind that of the whole parameter besides.
function inGroup(gated: Tensor, group: Tensor | null): Tensor {
  return group === null ? gated : mul_(gated, gatesOf(group));
}

function addGradient(parameter: Tensor, gradient: Tensor): void {
  const present = parameter.grad;
  if (present !== null) add_(present, gradient);
}
