// The layout of a packed two-part batch: which rows belong to which sequence, in blocks that attention works on.

import {
  type Device,
  type DType,
  indexAdd_,
  indexSelect,
  narrow,
  scope,
  type Tensor,
  tensorFrom,
  view,
  zeros,
} from "../torch/mod.ts";

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
  /**
   * What the scores of each part's queries get added, `[sequences, 1, 1 or queries, precedingKeys + selected.width +
   * rest.width]`: -Infinity at padding and, in a causal model, at later positions; null when nothing is hidden.
   */
  readonly selectedBias: Tensor | null;
  readonly restBias: Tensor | null;
}

/** Rows of all blocks, in order. */
export interface Layout {
  readonly selectedRows: number;
  readonly restRows: number;
  readonly blocks: readonly Block[];
}

/** The selected and the other positions of one sequence. */
export interface PartPositions {
  readonly selected: readonly number[];
  readonly rest: readonly number[];
}

/** Where a batch's tensors are, and the type of those that the model computes with. */
export interface Placement {
  readonly device: Device;
  readonly dtype: DType;
}

/** How sequences are laid out. */
export interface LayoutOptions extends Placement {
  readonly rowsPerBlock: number;
  /** Whether a position sees none after it. */
  readonly isCausal: boolean;
  /** How many keys stand before those of every sequence, seen from each position. */
  readonly precedingKeys: number;
}

/**
 * Lays sequences out in blocks of at most `rowsPerBlock` positions (and at least one sequence). Blocks bound the
 * workspace of attention and of everything that runs without gradients.
 */
export function layOut(sequences: readonly PartPositions[], options: LayoutOptions): Layout {
  let [selectedRows, restRows] = [0, 0];
  const blocks = divide(sequences, options.rowsPerBlock).map((inBlock) => {
    const block = layOutBlock(inBlock, selectedRows, restRows, options);
    selectedRows += block.selected.count;
    restRows += block.rest.count;
    return block;
  });
  return { selectedRows, restRows, blocks };
}

function divide(sequences: readonly PartPositions[], rowsPerBlock: number): PartPositions[][] {
  const blocks: PartPositions[][] = [];
  let rows = 0;
  for (const sequence of sequences) {
    const length = sequence.selected.length + sequence.rest.length;
    rows += length;
    if (blocks.length === 0 || rows > rowsPerBlock) {
      blocks.push([]);
      rows = length;
    }
    blocks.at(-1)?.push(sequence);
  }
  return blocks;
}

function layOutBlock(
  sequences: readonly PartPositions[],
  selectedStart: number,
  restStart: number,
  options: LayoutOptions,
): Block {
  const counts = (part: "selected" | "rest"): number[] => sequences.map((sequence) => sequence[part].length);
  const selected = layOutPart(counts("selected"), selectedStart, options.device);
  const rest = layOutPart(counts("rest"), restStart, options.device);
  return { sequences: sequences.length, selected, rest, ...biases(sequences, selected, rest, options) };
}

function layOutPart(counts: readonly number[], start: number, device: Device): PartOfBlock {
  const count = counts.reduce((sum, length) => sum + length, 0);
  const width = Math.max(...counts);
  const isFull = count === width * counts.length;
  return { start, count, width, padding: isFull ? null : paddingIndices(counts, width, device) };
}

// Padding repeats row 0: attention gives it no weight, so that neither its value nor its gradient counts.
function paddingIndices(counts: readonly number[], width: number, device: Device): PartOfBlock["padding"] {
  const toBlock = new Int32Array(counts.length * width);
  const fromBlock: number[] = [];
  counts.forEach((count, sequence) => {
    for (let position = 0; position < count; position++) {
      toBlock[sequence * width + position] = fromBlock.length;
      fromBlock.push(sequence * width + position);
    }
  });
  const where = { dtype: "int64", device } as const;
  return { toBlock: tensorFrom(toBlock, where), fromBlock: tensorFrom(fromBlock, where) };
}

function biases(
  sequences: readonly PartPositions[],
  selected: PartOfBlock,
  rest: PartOfBlock,
  { isCausal, precedingKeys, ...where }: LayoutOptions,
): Pick<Block, "selectedBias" | "restBias"> {
  const preceding = new Array<number>(precedingKeys).fill(-1);
  const keys = sequences.map((sequence) => [
    ...preceding,
    ...padded(sequence.selected, selected.width),
    ...padded(sequence.rest, rest.width),
  ]);
  if (isCausal) {
    const causal = (part: "selected" | "rest", width: number): Tensor =>
      bias(keys, sequences.map((sequence) => padded(sequence[part], width)), where);
    return { selectedBias: causal("selected", selected.width), restBias: causal("rest", rest.width) };
  }
  const isPadded = selected.padding !== null || rest.padding !== null;
  const shared = isPadded ? bias(keys, sequences.map(() => [null]), where) : null;
  return { selectedBias: shared, restBias: shared };
}

// A query's position, or null for one that sees every position.
type QueryPosition = number | null;

function padded(positions: readonly number[], width: number): QueryPosition[] {
  return [...positions, ...new Array<null>(width - positions.length).fill(null)];
}

function bias(keys: readonly QueryPosition[][], queries: readonly QueryPosition[][], where: Placement): Tensor {
  const [queryCount, keyCount] = [queries[0]?.length ?? 0, keys[0]?.length ?? 0];
  const values = new Float32Array(keys.length * queryCount * keyCount);
  let at = 0;
  queries.forEach((positions, sequence) => {
    for (const query of positions) {
      for (const key of keys[sequence] ?? []) {
        values[at++] = key === null || (query !== null && key > query) ? -Infinity : 0;
      }
    }
  });
  return tensorFrom(values, { shape: [keys.length, 1, queryCount, keyCount], ...where });
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

/** The same with zeros as padding: for gradients, to which padding must not add. */
export function toZeroRectangle(rows: Tensor, part: PartOfBlock): Tensor {
  const { padding, width } = part;
  if (padding === null) return toRectangle(rows, part);
  return scope(() => {
    const [count, size] = [padding.toBlock.size, rows.length(1)];
    const filled = zeros([count, size], { dtype: rows.dtype, device: rows.device });
    return view(indexAdd_(filled, 0, padding.fromBlock, rows), [count / width, width, size]);
  });
}

/** A rectangle's rows `[sequences * width, d]` without its padding. */
export function fromRectangle(rows: Tensor, part: PartOfBlock): Tensor {
  return part.padding === null ? rows : indexSelect(rows, 0, part.padding.fromBlock);
}
