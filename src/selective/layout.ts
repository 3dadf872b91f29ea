// The layout of a packed two-part batch: which rows belong to which sequence, in blocks that attention works on.

import { type Device, type DType, indexSelect, narrow, type Tensor, tensorFrom, view } from "../torch/mod.ts";

/** Where one part's rows of a block lie, and how they become a rectangle `[sequences, width]`. */
export interface PartOfBlock {
  readonly start: number;
  readonly count: number;
  readonly width: number;
  /** Indices that pad the rows to the rectangle and that take them out again; null when they fill it. */
  readonly padding: { readonly toBlock: Tensor; readonly fromBlock: Tensor } | null;
}

/** Neighbouring sequences whose attention is computed together. */
export interface Block {
  readonly sequences: number;
  readonly selected: PartOfBlock;
  readonly rest: PartOfBlock;
  /** `[sequences, 1, 1, selected.width + rest.width]`: -Infinity at padding; null when there is none. */
  readonly bias: Tensor | null;
}

/** Rows of all blocks, in order. */
export interface Layout {
  readonly selectedRows: number;
  readonly restRows: number;
  readonly blocks: readonly Block[];
}

/** Numbers of selected and other positions of one sequence. */
export interface PartCounts {
  readonly selected: number;
  readonly rest: number;
}

/** Where a batch's tensors are, and the type of those that the model computes with. */
export interface Placement {
  readonly device: Device;
  readonly dtype: DType;
}

/**
 * Lays sequences out in blocks of at most `rowsPerBlock` positions (and at least one sequence). Blocks bound the
 * workspace of attention and of everything that runs without gradients.
 */
export function layOut(counts: readonly PartCounts[], rowsPerBlock: number, where: Placement): Layout {
  let [selectedRows, restRows] = [0, 0];
  const blocks = divide(counts, rowsPerBlock).map((inBlock) => {
    const block = layOutBlock(inBlock, selectedRows, restRows, where);
    selectedRows += block.selected.count;
    restRows += block.rest.count;
    return block;
  });
  return { selectedRows, restRows, blocks };
}

function divide(counts: readonly PartCounts[], rowsPerBlock: number): PartCounts[][] {
  const blocks: PartCounts[][] = [];
  let rows = 0;
  for (const count of counts) {
    rows += count.selected + count.rest;
    if (blocks.length === 0 || rows > rowsPerBlock) {
      blocks.push([]);
      rows = count.selected + count.rest;
    }
    blocks.at(-1)?.push(count);
  }
  return blocks;
}

function layOutBlock(counts: readonly PartCounts[], selectedStart: number, restStart: number, where: Placement): Block {
  const [selectedCounts, restCounts] = [counts.map((count) => count.selected), counts.map((count) => count.rest)];
  const selected = layOutPart(selectedCounts, selectedStart, where.device);
  const rest = layOutPart(restCounts, restStart, where.device);
  const isPadded = selected.padding !== null || rest.padding !== null;
  const bias = isPadded ? paddingBias(counts, selected.width, rest.width, where) : null;
  return { sequences: counts.length, selected, rest, bias };
}

function layOutPart(counts: readonly number[], start: number, device: Device): PartOfBlock {
  const count = counts.reduce((sum, length) => sum + length, 0);
  const width = Math.max(...counts);
  const isFull = count === width * counts.length;
  return { start, count, width, padding: isFull ? null : paddingIndices(counts, width, device) };
}

// Padding repeats row 0: attention gives it no weight, so that neither its value nor its gradient counts.
function paddingIndices(counts: readonly number[], width: number, device: Device): PartOfBlock["padding"] {
  const toBlock = new BigInt64Array(counts.length * width);
  const fromBlock: bigint[] = [];
  counts.forEach((count, sequence) => {
    for (let position = 0; position < count; position++) {
      toBlock[sequence * width + position] = BigInt(fromBlock.length);
      fromBlock.push(BigInt(sequence * width + position));
    }
  });
  return { toBlock: tensorFrom(toBlock, { device }), fromBlock: tensorFrom(BigInt64Array.from(fromBlock), { device }) };
}

function paddingBias(
  counts: readonly PartCounts[],
  selectedWidth: number,
  restWidth: number,
  where: Placement,
): Tensor {
  const width = selectedWidth + restWidth;
  const bias = new Float32Array(counts.length * width);
  counts.forEach(({ selected, rest }, sequence) => {
    const row = bias.subarray(sequence * width, (sequence + 1) * width);
    row.fill(-Infinity, selected, selectedWidth);
    row.fill(-Infinity, selectedWidth + rest);
  });
  return tensorFrom(bias, { shape: [counts.length, 1, 1, width], ...where });
}

/** A block's rows of a packed tensor `[N, d]`, as a view. */
export function rowsOf(packed: Tensor, part: PartOfBlock): Tensor {
  return narrow(packed, 0, part.start, part.count);
}

/** Packed rows `[count, d]` of a block as its rectangle `[sequences, width, d]`. */
export function toRectangle(rows: Tensor, part: PartOfBlock): Tensor {
  const filled = part.padding === null ? rows : indexSelect(rows, 0, part.padding.toBlock);
  return view(filled, [part.width === 0 ? 0 : filled.length(0) / part.width, part.width, rows.length(1)]);
}

/** A rectangle's rows `[sequences * width, d]` without its padding. */
export function withoutPadding(rows: Tensor, part: PartOfBlock): Tensor {
  return part.padding === null ? rows : indexSelect(rows, 0, part.padding.fromBlock);
}
