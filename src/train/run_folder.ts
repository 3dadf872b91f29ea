// A run's folder: what is in it from its first step to its result, and who may write there.

import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { checkOutputFolder, removePartial, writeFolder, writeIntoFolder, writeText } from "../files/output_folder.ts";
import { exists } from "../files/presence.ts";
import { newestCheckpoint } from "./checkpoint.ts";
import { refuseOtherConfig } from "./config/resume.ts";
import { configName } from "./config/write.ts";
import type { TrainOptions } from "./train_options.ts";
import { trainingRecordName } from "./training_record.ts";

/** Which checkpoints a run writes and keeps. */
export interface SaveOptions {
  /** A checkpoint after so many steps, again and again, and after each best evaluation. Default: by the time alone. */
  readonly saveSteps?: number | undefined;
  /** A checkpoint after so many minutes, again and again. Default 15; with `saveSteps` none. */
  readonly saveMinutes?: number | undefined;
  /** So many checkpoints stay, the newest, and the best besides. Default 2, and none when the run is finished. */
  readonly keepCheckpoints?: number | undefined;
}

/**
 * Throws unless a run can begin in `folder`, or go on there: what is asked before anything is read.
 *
 * @throws {CheckpointError} when a new run's folder exists or cannot be made; when that of one that goes on holds none,
 * or one that is finished
 */
export function checkRunFolder(folder: string, resume = false): void {
  const [isRun, isFinished] = [configName, trainingRecordName].map((name) => exists(join(folder, name)));
  if (!resume && isRun && !isFinished) {
    throw new CheckpointError(
      `${folder} holds a run that is not finished: let it go on (resume), or choose another folder`,
    );
  }
  if (!resume) return checkOutputFolder(folder);
  if (!isRun) throw new CheckpointError(`${folder} holds no run to go on with: there is no ${configName}`);
  if (isFinished) throw new CheckpointError(`${folder} holds a finished run: there is nothing left to do`);
}

/** A run's folder while the run goes on. Dispose it when it does no longer. */
export class RunFolder implements Disposable {
  readonly #path: string;
  readonly #lock: Deno.FsFile;
  readonly #isNew: boolean;

  /** Use {@linkcode openRunFolder}. */
  constructor(path: string, lock: Deno.FsFile, isNew: boolean) {
    this.#path = path;
    this.#lock = lock;
    this.#isNew = isNew;
  }

  /** The training loop's options: where its checkpoints are, and from which it goes on. Each holds `files` besides. */
  checkpoints(
    { saveSteps, saveMinutes, keepCheckpoints }: SaveOptions,
    files: Readonly<Record<string, string>>,
  ): Pick<TrainOptions, "checkpoints" | "resumeFrom"> {
    const folder = this.#checkpointFolder;
    return {
      checkpoints: { folder, saveSteps, saveMinutes, keep: keepCheckpoints, files },
      resumeFrom: newestCheckpoint(folder),
    };
  }

  /**
   * Puts the result beside what is there: the files that `write` puts into the folder that it is given. training.json,
   * which has to be among them, comes last. Checkpoints stay when it was said how many are kept.
   *
   * @throws {CheckpointError} when it cannot be written; the run can then go on from its last checkpoint
   */
  finish(write: (temporary: string) => void, { keepCheckpoints }: SaveOptions): void {
    try {
      writeIntoFolder(this.#path, trainingRecordName, write);
    } catch (cause) {
      if (!(cause instanceof CheckpointError)) throw cause;
      throw new CheckpointError(`${cause.message}: when that is put right, the run can go on (resume)`, { cause });
    }
    if (keepCheckpoints === undefined) removeIfThere(this.#checkpointFolder);
  }

  /** Removes the folder, if the run is a new one: for when it ended before its first step. */
  abandon(): void {
    if (this.#isNew) removeIfThere(this.#path);
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }

  get #checkpointFolder(): string {
    return join(this.#path, "checkpoints");
  }
}

/**
 * Makes a new run's folder, which holds its options, or opens that of one that goes on.
 *
 * @param config the text of train_config.json
 * @throws {CheckpointError} when it cannot be made, or another process trains there
 * @throws {OptionError} when the run that goes on was begun with other options
 */
export function openRunFolder(path: string, config: string, resume = false): RunFolder {
  if (!resume) writeFolder(path, (temporary) => writeText(join(temporary, configName), config));
  const lock = lockFolder(path);
  try {
    if (resume) refuseOtherConfig(path, config);
    if (resume) removePartial(path);
    return new RunFolder(path, lock, !resume);
  } catch (error) {
    lock.close();
    throw error;
  }
}

// The lock is the system's: it goes with the process, however that ends.
function lockFolder(path: string): Deno.FsFile {
  const file = Deno.openSync(join(path, configName), { read: true, write: true });
  if (file.tryLockSync(true)) return file;
  file.close();
  throw new CheckpointError(`another process trains in ${path}: wait for it, or choose another folder`);
}

function removeIfThere(folder: string): void {
  if (exists(folder)) Deno.removeSync(folder, { recursive: true });
}
