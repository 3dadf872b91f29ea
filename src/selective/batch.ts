// Packs sequences into a two-part batch: selected rows, the rest, and how the head pools them.

import { OptionError } from "../errors.ts";
import type { Pooling, RowInputs, SequenceClassifier } from "../models/contract.ts";
import { type Device, type DType, type Tensor, tensorFrom } from "../torch/mod.ts";
import { type Layout, layOut, type PartPositions, type Placement } from "./layout.ts";
import { allPositions, anchorOf } from "./positions.ts";

/** One tokenized example. */
export interface Sequence {
  readonly inputIds: ArrayLike<number>;
  readonly tokenTypeIds: ArrayLike<number>;
}

/** Which of the selected rows the head reads, `[P]` each: the row, its sequence, and its weight there, `[P, 1]`. */
export interface Pool {
  readonly rows: Tensor;
  readonly sequences: Tensor;
  readonly weights: Tensor;
}

/** A batch whose rows lie in two parts, without padding. Its tensors belong to the scope in which it was packed. */
export interface PackedBatch {
  readonly size: number;
  readonly layout: Layout;
  readonly selected: RowInputs;
  readonly rest: RowInputs;
  readonly pool: Pool;
  /** `[N_selected, 1]`, true where no gradient may pass; only in batches for masked mode. */
  readonly gradientStops: Tensor | null;
}

/** How a batch is packed. */
export interface PackOptions {
  /** For each sequence the selected positions, ascending, the {@linkcode anchorOf | anchor} among them. */
  readonly selected: readonly (readonly number[])[];
  readonly pooling: Pooling;
  readonly device?: Device;
  /** The element type that the model computes in. Default float32. */
  readonly dtype?: DType;
  /** Whether a position attends to none after it: the model's {@linkcode Backbone.isCausal}. Default false. */
  readonly isCausal?: boolean;
  /** See {@linkcode layOut}. Default: 512 on the CPU, everything in one block on a GPU. */
  readonly rowsPerBlock?: number;
}

/** Rows that run together without gradients: few enough that they set no peak, many enough for the products' speed. */
export function defaultRowsPerBlock(device: Device): number {
  return device === "cpu" ? 512 : Infinity;
}

/** The options that a model decides. */
export function packingFor({ pooling, backbone }: SequenceClassifier): Omit<PackOptions, "selected" | "rowsPerBlock"> {
  const { device, dtype, isCausal } = backbone;
  return { pooling, device, dtype, isCausal };
}

// A position of the batch: sequence (in the caller's order) and place in it.
interface Place {
  readonly sequence: number;
  readonly position: number;
}

/** Packs sequences for split mode: rows of the selected positions, and the rest. */
export function packBatch(sequences: readonly Sequence[], options: PackOptions): PackedBatch {
  return pack(sequences, options.selected, options.selected, options);
}

/**
 * Packs sequences for masked mode: all rows are computed with gradients, which stop at those that are not selected.
 */
export function packMaskedBatch(sequences: readonly Sequence[], options: PackOptions): PackedBatch {
  const all = allPositions(sequences.map(({ inputIds }) => inputIds.length));
  return pack(sequences, all, options.selected, options);
}

function pack(
  sequences: readonly Sequence[],
  withGradient: readonly (readonly number[])[],
  pooled: readonly (readonly number[])[],
  options: PackOptions,
): PackedBatch {
  const { pooling, device = "cpu", dtype = "float32", isCausal = false } = options;
  checkSelections(sequences, options.selected, pooling);
  const { rowsPerBlock = defaultRowsPerBlock(device) } = options;
  const order = sequences.keys().toArray().sort((a, b) => lengthOf(sequences, b) - lengthOf(sequences, a));
  const parts = order.map((sequence) => split(lengthOf(sequences, sequence), withGradient[sequence] ?? []));
  const places = (part: keyof PartPositions): Place[] =>
    order.flatMap((sequence, index) => (parts[index]?.[part] ?? []).map((position) => ({ sequence, position })));
  const [selected, rest] = [places("selected"), places("rest")];
  return {
    size: sequences.length,
    layout: layOut(parts, { rowsPerBlock, isCausal, device, dtype }),
    selected: rowInputs(sequences, selected, device),
    rest: rowInputs(sequences, rest, device),
    pool: poolOf(selected, pooling === "mean" ? pooled : anchors(sequences, pooling), { device, dtype }),
    gradientStops: withGradient === pooled ? null : gradientStops(selected, pooled, device),
  };
}

function checkSelections(
  sequences: readonly Sequence[],
  selected: readonly (readonly number[])[],
  pooling: Pooling,
): void {
  if (sequences.length === 0) throw new OptionError("a batch needs at least one sequence");
  sequences.forEach(({ inputIds: { length } }, index) => {
    const positions = selected[index] ?? [];
    const isAscending = positions.every((position, at) => position > (positions[at - 1] ?? -1) && position < length);
    if (!isAscending || !positions.includes(anchorOf(pooling, length))) {
      const range = pooling === "last" ? `to ${length - 1}, the last one` : `from 0 to at most ${length - 1}`;
      throw new OptionError(`the selected positions of sequence ${index}, [${positions}], have to ascend ${range}`);
    }
  });
}

function anchors(sequences: readonly Sequence[], pooling: Pooling): number[][] {
  return sequences.map(({ inputIds }) => [anchorOf(pooling, inputIds.length)]);
}

function lengthOf(sequences: readonly Sequence[], sequence: number): number {
  return sequences[sequence]?.inputIds.length ?? 0;
}

function split(length: number, selected: readonly number[]): PartPositions {
  const taken = new Set(selected);
  const rest = Array.from({ length }, (_, position) => position).filter((position) => !taken.has(position));
  return { selected, rest };
}

function rowInputs(sequences: readonly Sequence[], places: readonly Place[], device: Device): RowInputs {
  const column = (value: (place: Place) => number): Tensor =>
    tensorFrom(BigInt64Array.from(places, (place) => BigInt(value(place))), { device });
  return {
    inputIds: column(({ sequence, position }) => sequences[sequence]?.inputIds[position] ?? 0),
    tokenTypeIds: column(({ sequence, position }) => sequences[sequence]?.tokenTypeIds[position] ?? 0),
    positionIds: column(({ position }) => position),
  };
}

function poolOf(places: readonly Place[], pooled: readonly (readonly number[])[], where: Placement): Pool {
  const sets = pooled.map((positions) => new Set(positions));
  const read = [...places.entries()].filter(([, { sequence, position }]) => sets[sequence]?.has(position));
  const { device } = where;
  return {
    rows: tensorFrom(BigInt64Array.from(read, ([row]) => BigInt(row)), { device }),
    sequences: tensorFrom(BigInt64Array.from(read, ([, { sequence }]) => BigInt(sequence)), { device }),
    weights: tensorFrom(read.map(([, { sequence }]) => 1 / (sets[sequence]?.size ?? 1)), {
      shape: [read.length, 1],
      ...where,
    }),
  };
}

function gradientStops(places: readonly Place[], allowed: readonly (readonly number[])[], device: Device): Tensor {
  const sets = allowed.map((positions) => new Set(positions));
  const stops = Uint8Array.from(places, ({ sequence, position }) => sets[sequence]?.has(position) ? 0 : 1);
  return tensorFrom(stops, { shape: [places.length, 1], dtype: "bool", device });
}
