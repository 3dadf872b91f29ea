// Packs sequences into a two-part batch: selected rows, the rest, and how the head pools them.

import { OptionError } from "../errors.ts";
import type { Pooling, RowInputs, SequenceClassifier } from "../models/contract.ts";
import { type Preceding, precedingOf } from "../models/preceding.ts";
import { type Device, type DType, type Tensor, tensorFrom } from "../torch/mod.ts";
import { type Layout, layOut, type PartPositions, type Placement } from "./layout.ts";
import { allPositions, anchorOf } from "./positions.ts";

/** One tokenized example. */
export interface Sequence {
  readonly inputIds: ArrayLike<number>;
  readonly tokenTypeIds: ArrayLike<number>;
}

/**
 * Which of the selected rows the head reads, `[P]` each: the row, its output, and its weight there, `[P, 1]`. There is an
 * output for each sequence, or for each selected position where the head reads `each`: those of the first sequence, then
 * those of the next.
 */
export interface Pool {
  /** The number of outputs. */
  readonly size: number;
  readonly rows: Tensor;
  readonly outputs: Tensor;
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
  /** For each sequence its selected positions, ascending, the {@linkcode anchorOf | anchor} if there is one among them. */
  readonly selected: readonly (readonly number[])[];
  readonly pooling: Pooling;
  /** What each selected position counts in the mean that the head reads, of each sequence 1. Default: all the same. */
  readonly weights?: readonly (readonly number[])[] | undefined;
  readonly device?: Device;
  /** The element type that the model computes in. Default float32. */
  readonly dtype?: DType;
  /** Whether a position attends to none after it: the model's {@linkcode Backbone.isCausal}. Default false. */
  readonly isCausal?: boolean;
  /** What stands before every sequence; its tokens are selected beside the others. Default: nothing. */
  readonly preceding?: Preceding;
  /** See {@linkcode layOut}. Default: 512 on the CPU, everything in one block on a GPU. */
  readonly rowsPerBlock?: number;
}

/** Rows that run together without gradients: few enough that they set no peak, many enough for the products' speed. */
export function defaultRowsPerBlock(device: Device): number {
  return device === "cpu" ? 512 : Infinity;
}

/** The options that a model decides. */
export function packingFor(
  { pooling, backbone }: SequenceClassifier,
): Omit<PackOptions, "selected" | "weights" | "rowsPerBlock"> {
  const { device, dtype, isCausal } = backbone;
  return { pooling, device, dtype, isCausal, preceding: precedingOf(backbone) };
}

// A position of the batch: sequence (in the caller's order) and place in it.
interface Place {
  readonly sequence: number;
  readonly position: number;
}

/** The sequences' numbers in the order in which their rows are packed: the longest first. */
export function packedOrder(sequences: readonly Pick<Sequence, "inputIds">[]): number[] {
  return sequences.keys().toArray().sort((a, b) => lengthOf(sequences, b) - lengthOf(sequences, a));
}

/** Packs sequences for split mode: rows of the selected positions, and the rest. */
export function packBatch(sequences: readonly Sequence[], options: PackOptions): PackedBatch {
  return pack(sequences, false, options);
}

/**
 * Packs sequences for masked mode: all rows are computed with gradients, which stop at those that are not selected.
 */
export function packMaskedBatch(sequences: readonly Sequence[], options: PackOptions): PackedBatch {
  return pack(sequences, true, options);
}

function pack(texts: readonly Sequence[], isMasked: boolean, options: PackOptions): PackedBatch {
  const { pooling, device = "cpu", dtype = "float32", isCausal = false } = options;
  const { rowsPerBlock = defaultRowsPerBlock(device), preceding = { keys: 0, tokenIds: [] } } = options;
  checkSelections(texts, options.selected, pooling);
  const sequences = texts.map((text) => withTokens(text, preceding.tokenIds));
  const chosen = options.selected.map((positions) => withPositions(positions, preceding.tokenIds.length));
  const withGradient = isMasked ? allPositions(sequences.map(({ inputIds }) => inputIds.length)) : chosen;
  const order = packedOrder(sequences);
  const parts = order.map((sequence) => split(lengthOf(sequences, sequence), withGradient[sequence] ?? []));
  const places = (part: keyof PartPositions): Place[] =>
    order.flatMap((sequence, index) => (parts[index]?.[part] ?? []).map((position) => ({ sequence, position })));
  const [selected, rest] = [places("selected"), places("rest")];
  const pooled = readPositions(sequences, chosen, pooling, preceding.tokenIds.length);
  const weights = withTokenWeights(texts, preceding.tokenIds.length, options);
  return {
    size: sequences.length,
    layout: layOut(parts, { rowsPerBlock, isCausal, precedingKeys: preceding.keys, device, dtype }),
    selected: rowInputs(sequences, selected, preceding.keys, device),
    rest: rowInputs(sequences, rest, preceding.keys, device),
    pool: poolOf(selected, pooled, { pooling, weights }, { device, dtype }),
    gradientStops: isMasked ? gradientStops(selected, chosen, device) : null,
  };
}

// The sequence after tokens of type 0.
function withTokens({ inputIds, tokenTypeIds }: Sequence, tokens: readonly number[]): Sequence {
  if (tokens.length === 0) return { inputIds, tokenTypeIds };
  return {
    inputIds: [...tokens, ...Array.from(inputIds)],
    tokenTypeIds: [...tokens.map(() => 0), ...Array.from(tokenTypeIds)],
  };
}

// Positions of a text after so many tokens, and those of the tokens: without a gradient at them they would not learn.
function withPositions(positions: readonly number[], tokens: number): readonly number[] {
  if (tokens === 0) return positions;
  return [...Array(tokens).keys(), ...positions.map((position) => position + tokens)];
}

// What positions count in a mean, where tokens are always in it: those of the text have its share of the sequence.
function withTokenWeights(
  texts: readonly Sequence[],
  tokens: number,
  { selected, weights }: PackOptions,
): PackOptions["weights"] {
  if (tokens === 0) return weights;
  return texts.map(({ inputIds: { length } }, sequence) => {
    const positions = selected[sequence] ?? [];
    const own = weights?.[sequence] ?? positions.map(() => 1 / positions.length);
    const share = 1 / (tokens + length);
    return [...new Array<number>(tokens).fill(share), ...own.map((weight) => weight * length * share)];
  });
}

function checkSelections(
  sequences: readonly Sequence[],
  selected: readonly (readonly number[])[],
  pooling: Pooling,
): void {
  if (sequences.length === 0) throw new OptionError("a batch needs at least one sequence");
  sequences.forEach(({ inputIds: { length } }, index) => {
    const positions = selected[index] ?? [];
    const anchor = anchorOf(pooling, length);
    const isAscending = positions.every((position, at) => position > (positions[at - 1] ?? -1) && position < length);
    if (isAscending && (anchor === null ? positions.length > 0 : positions.includes(anchor))) return;
    throw new OptionError(
      `the selected positions of sequence ${index}, [${positions}], have to ascend ${rangeOf(pooling, length)}`,
    );
  });
}

function rangeOf(pooling: Pooling, length: number): string {
  if (pooling === "each") return `and be at least one of 0 to ${length - 1}`;
  return pooling === "last" ? `to ${length - 1}, the last one` : `from 0 to at most ${length - 1}`;
}

// Those of each sequence that the head reads: as PEFT's, `cls` and `mean` take the tokens before the text for a part of it.
function readPositions(
  sequences: readonly Sequence[],
  selected: readonly (readonly number[])[],
  pooling: Pooling,
  tokens: number,
): readonly (readonly number[])[] {
  if (pooling === "mean") return selected;
  if (pooling === "each") return selected.map((positions) => positions.slice(tokens));
  return sequences.map(({ inputIds }) => [anchorOf(pooling, inputIds.length) ?? 0]);
}

function lengthOf(sequences: readonly Pick<Sequence, "inputIds">[], sequence: number): number {
  return sequences[sequence]?.inputIds.length ?? 0;
}

function split(length: number, selected: readonly number[]): PartPositions {
  const taken = new Set(selected);
  const rest = Array.from({ length }, (_, position) => position).filter((position) => !taken.has(position));
  return { selected, rest };
}

function rowInputs(
  sequences: readonly Sequence[],
  places: readonly Place[],
  firstPosition: number,
  device: Device,
): RowInputs {
  const column = (value: (place: Place) => number): Tensor => tensorFrom(places.map(value), { dtype: "int64", device });
  return {
    inputIds: column(({ sequence, position }) => sequences[sequence]?.inputIds[position] ?? 0),
    tokenTypeIds: column(({ sequence, position }) => sequences[sequence]?.tokenTypeIds[position] ?? 0),
    positionIds: column(({ position }) => firstPosition + position),
  };
}

function poolOf(
  places: readonly Place[],
  pooled: readonly (readonly number[])[],
  { pooling, weights }: Pick<PackOptions, "pooling" | "weights">,
  where: Placement,
): Pool {
  const isEach = pooling === "each";
  const counted = pooled.map((positions, sequence) => {
    const own = pooling === "mean" ? weights?.[sequence] : undefined;
    return new Map(positions.map((position, at) => [position, own?.[at] ?? 1 / positions.length]));
  });
  const counts: number[] = [];
  const rows: number[] = [];
  const sequences: number[] = [];
  places.forEach(({ sequence, position }, row) => {
    const weight = counted[sequence]?.get(position);
    if (weight === undefined) return;
    rows.push(row);
    sequences.push(sequence);
    counts.push(isEach ? 1 : weight);
  });
  const { device } = where;
  return {
    size: isEach ? rows.length : pooled.length,
    rows: tensorFrom(rows, { dtype: "int64", device }),
    outputs: tensorFrom(isEach ? ranks(sequences, pooled) : sequences, { dtype: "int64", device }),
    weights: tensorFrom(counts, { shape: [rows.length, 1], ...where }),
  };
}

// The places of rows, which lie in any order of the sequences, in the order of the sequences.
function ranks(sequences: readonly number[], pooled: readonly (readonly number[])[]): number[] {
  let before = 0;
  const next = pooled.map(({ length }) => (before += length) - length);
  return sequences.map((sequence) => {
    const rank = next[sequence] ?? 0;
    next[sequence] = rank + 1;
    return rank;
  });
}

function gradientStops(places: readonly Place[], allowed: readonly (readonly number[])[], device: Device): Tensor {
  const sets = allowed.map((positions) => new Set(positions));
  const stops = Uint8Array.from(places, ({ sequence, position }) => sets[sequence]?.has(position) ? 0 : 1);
  return tensorFrom(stops, { shape: [places.length, 1], dtype: "bool", device });
}
