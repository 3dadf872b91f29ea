// Every error that Fewtune throws on purpose: a class with a stable name, and a message that says what to do.

/** What all of Fewtune's own errors are; `name` is stable and `message` is one line for a person. */
export class FewtuneError extends Error {
  override readonly name: string = "FewtuneError";
}

/** LibTorch, the compiler or the shim is missing, of the wrong version, or could not be installed or built. */
export class SetupError extends FewtuneError {
  override readonly name: string = "SetupError";
}

/** LibTorch refused an operator call; the message names the operator and the shapes of its tensor arguments. */
export class TorchError extends FewtuneError {
  override readonly name: string = "TorchError";
}

/** The allocator could not give the memory that an operator asked for. */
export class OutOfMemoryError extends TorchError {
  override readonly name: string = "OutOfMemoryError";
}

/** An operator is declared here with another schema than the loaded LibTorch's. */
export class SchemaError extends TorchError {
  override readonly name: string = "SchemaError";
}

/** A tensor was used after it, or the scope that owned it, was disposed. */
export class DisposedTensorError extends FewtuneError {
  override readonly name: string = "DisposedTensorError";
}

/** A model file, configuration or tokenizer is damaged, or does not fit the rest of the checkpoint. */
export class CheckpointError extends FewtuneError {
  override readonly name: string = "CheckpointError";
}

/** A table of examples is unreadable, empty, or lacks what was asked of it. */
export class DataError extends FewtuneError {
  override readonly name: string = "DataError";
}

/** An option has a value that cannot be. */
export class OptionError extends FewtuneError {
  override readonly name: string = "OptionError";
}

/** Training cannot go on, for example because the loss is not a number. */
export class TrainingError extends FewtuneError {
  override readonly name: string = "TrainingError";
}

/** The hub has not what was asked for, refuses it, or cannot be reached; or what it sent is not what it announced. */
export class HubError extends FewtuneError {
  override readonly name: string = "HubError";

  /** @param status the HTTP status that the hub answered with; null when it gave no answer */
  constructor(message: string, readonly status: number | null = null, options: ErrorOptions = {}) {
    super(message, options);
  }
}
