// The difference that diff pruning adds to one parameter: trained values, each behind a gate, and a gate for all of them.

import { CheckpointError } from "../errors.ts";
import { plainly } from "../files/shown.ts";
import type { SafetensorsSource } from "../files/safetensors_write.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import { parameterSources } from "../models/save.ts";
import { readParameter } from "../models/read_parameter.ts";
import { type Module, parameter } from "../nn/module.ts";
import {
  add,
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
  mulScalar,
  narrow,
  noGrad,
  nonzero,
  requiresGrad_,
  scope,
  sub,
  sum,
  type Tensor,
  tensorFrom,
  to,
  toDense,
  toTypedArray,
  view,
  zero_,
} from "../torch/mod.ts";
import { gatesOf, type Noise, openProbabilities, samplesOf, slopesOf } from "./hard_concrete.ts";

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
    copy_(this.#target, add(this.#base, view(this.#gated(elements, group), this.#target.shape)));
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
    const { alpha, group } = this.#penaltyGradients(penalty);
    this.#addGradients(gradient, samples, alpha, group);
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
    const gated = mul(view(this.#values, [-1]), gatesOf(elements));
    return group === null ? gated : mul(gated, gatesOf(group));
  }

  // Flat; an embedding's may hold some rows only.
  #takeGradient(): Tensor | null {
    const gradient = this.#target.grad;
    this.#target.grad = null;
    if (gradient === null) return null;
    return view(gradient.isSparse ? toDense(gradient) : gradient, [-1]);
  }

  // Of sum p_i, structured of p sum p_i, by alpha: p_i = sigmoid(alpha_i).
  #penaltyGradients(penalty: number): { readonly alpha: Tensor; readonly group: Tensor | null } {
    const open = openProbabilities(this.#alpha);
    const alpha = mulScalar(sub(open, mul(open, open)), penalty);
    if (this.#group === null) return { alpha, group: null };
    const whole = openProbabilities(this.#group);
    return {
      alpha: mul(alpha, whole),
      group: mul(mulScalar(sub(whole, mul(whole, whole)), penalty), sum(open)),
    };
  }

  #addGradients(gradient: Tensor | null, samples: Samples, alpha: Tensor, group: Tensor | null): void {
    this.#alpha.grad = alpha;
    if (this.#group !== null) this.#group.grad = group;
    if (gradient === null) return;
    const { elements, group: whole } = samples;
    const gates = gatesOf(elements);
    const byDifference = whole === null ? gradient : mul(gradient, gatesOf(whole));
    this.#values.grad = view(mul(byDifference, gates), this.#values.shape);
    const byGate = mul(byDifference, view(this.#values, [-1]));
    this.#alpha.grad = add(alpha, mul(byGate, slopesOf(elements)));
    if (this.#group === null || whole === null || group === null) return;
    const inGroup = sum(mul(mul(gradient, view(this.#values, [-1])), gates));
    this.#group.grad = add(group, mul(inGroup, slopesOf(whole)));
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
