// One layer over a packed batch: the selected rows with gradients where they are on, the rest without.

import { emptyLike, isGradEnabled, scope } from "../torch/mod.ts";
import { attend, type HiddenStates, joinRows, type LayerRun, projectSelected, stopGradients } from "./attend.ts";
import { rowsOf } from "./layout.ts";

/** @param givesRest whether anything reads the layer's output at the rest */
export function runLayer(run: LayerRun, hidden: HiddenStates, givesRest: boolean): HiddenStates {
  return scope(() => {
    const { layer, batch, random } = run;
    const rest = hidden.rest !== null && givesRest ? emptyLike(hidden.rest) : null;
    // Inference finishes the layer block by block, which bounds the feed-forward's workspace.
    const isInference = random === null && !isGradEnabled();
    const parts = attend(run, {
      projected: projectSelected(run, hidden.selected),
      rest: hidden.rest,
      restOutput: rest,
      keep: ({ context, block }) =>
        isInference ? layer.afterAttention(rowsOf(hidden.selected, block.selected), context(), null) : context(),
    });
    const joined = joinRows(parts);
    const selected = isInference ? joined : layer.afterAttention(hidden.selected, joined, random?.selected ?? null);
    stopGradients(batch, selected);
    return { selected, rest };
  });
}

/** Frees both parts. */
export function disposeStates({ selected, rest }: HiddenStates): void {
  selected.dispose();
  rest?.dispose();
}
