// The checkpoints of one run: when one is due, which are kept, and going on from one.

import { CheckpointError } from "../errors.ts";
import { removeFolder, removePartial } from "../files/output_folder.ts";
import { checkSavedPart } from "../methods/saved_part.ts";
import { threads } from "../torch/mod.ts";
import {
  type CheckpointParts,
  type CheckpointRecord,
  checkpointsIn,
  readParts,
  readRecord,
  writeCheckpoint,
} from "./checkpoint.ts";
import { identityOf, refuseOtherRun, type RunIdentity } from "./run_identity.ts";
import type { RunState } from "./run_state.ts";
import type { TrainingData } from "./train.ts";
import type { CheckpointOptions, TrainOptions } from "./train_options.ts";
import { versions } from "./training_record.ts";

const usualMinutes = 15;

/** Writes and reads the checkpoints of a run. */
export class RunCheckpoints {
  readonly #parts: CheckpointParts;
  readonly #data: TrainingData;
  readonly #options: TrainOptions;
  #identity: RunIdentity | undefined;
  #saved = "";
  /** When one was written last, or could not be. */
  #tried = performance.now();

  constructor(parts: CheckpointParts, data: TrainingData, options: TrainOptions) {
    this.#parts = parts;
    this.#data = data;
    this.#options = options;
  }

  /**
   * Begins the run: anew (null), or with the state of the checkpoint to go on from, whose parts are then the run's.
   *
   * @throws {CheckpointError} when the checkpoint is damaged, or another run's, which changes nothing; and when a run
   * that begins anew finds checkpoints in its folder
   * @throws {OptionError} when the model cannot be saved
   */
  begin(): RunState | null {
    const { checkpoints, resumeFrom } = this.#options;
    if (checkpoints) checkSavedPart(this.#parts.classifier);
    if (checkpoints && resumeFrom === undefined) refuseExisting(checkpoints);
    const state = resumeFrom === undefined ? null : this.#restore(resumeFrom);
    if (checkpoints) removePartial(checkpoints.folder);
    return state;
  }

  /** Whether a checkpoint has to be written: by the steps, by the time, or for an evaluation that is the best. */
  isDue(state: RunState): boolean {
    const { checkpoints } = this.#options;
    if (checkpoints === undefined || momentOf(state) === this.#saved) return false;
    const { saveSteps, saveMinutes = saveSteps === undefined ? usualMinutes : Infinity } = checkpoints;
    if (performance.now() - this.#tried >= 60_000 * saveMinutes) return true;
    return saveSteps !== undefined && (state.step % saveSteps === 0 || state.step === state.best?.step);
  }

  /**
   * Writes a checkpoint, unless it is there, and removes those that are not kept.
   *
   * @throws {CheckpointError} when it cannot be written; the others are kept then
   */
  save(state: RunState): void {
    const { checkpoints, onEvent } = this.#options;
    const { step, best } = state;
    if (checkpoints === undefined || momentOf(state) === this.#saved) return;
    const { folder, keep = 2, files } = checkpoints;
    this.#tried = performance.now();
    const path = writeCheckpoint(folder, this.#parts, { state, identity: this.#ownIdentity() }, files);
    this.#saved = momentOf(state);
    const older = checkpointsIn(folder).slice(0, -keep).filter((each) => each.step !== best?.step);
    for (const each of older) removeFolder(each.folder);
    onEvent?.({ type: "checkpoint", step, folder: path });
  }

  #restore(folder: string): RunState {
    const { onEvent } = this.#options;
    const record = readRecord(folder);
    refuseOtherRun(folder, record.identity, this.#ownIdentity());
    readParts(folder, this.#parts);
    const { step, evaluation } = record.state;
    this.#saved = momentOf(record.state);
    onEvent?.({ type: "resume", step, evaluation, folder });
    const message = otherArithmetic(record);
    if (message !== null) onEvent?.({ type: "notice", step, message });
    return record.state;
  }

  #ownIdentity(): RunIdentity {
    this.#identity ??= identityOf(this.#parts.classifier, this.#data, this.#options);
    return this.#identity;
  }
}

function refuseExisting({ folder }: CheckpointOptions): void {
  const [first] = checkpointsIn(folder);
  if (first === undefined) return;
  throw new CheckpointError(`${folder} holds checkpoints already (${first.folder}): go on from one, or choose another`);
}

// What tells two checkpoints of a run apart: after a step there may be an evaluation.
function momentOf({ step, evaluation }: RunState): string {
  return `${step} ${evaluation?.step}`;
}

// What lets the last bits of the weights differ from those of the run that was never stopped.
function otherArithmetic(record: CheckpointRecord): string | null {
  const [before, now] = [record, { versions: versions(), threads: threads() }].map(({ versions, threads }) =>
    `LibTorch ${versions.torch} on ${threads} threads`
  );
  return before === now
    ? null
    : `the run began with ${before} and goes on with ${now}: its weights can differ in their last bits`;
}
