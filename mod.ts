// Fewtune's public interface: all that a program needs, and nothing else.

export * from "./src/errors.ts";
export { version } from "./src/version.ts";

// LibTorch
export { initialize, type InitializeOptions, takeWarnings } from "./src/native/load.ts";
export type { PrepareOptions } from "./src/native/prepare.ts";
export type { OnProgress, SetupEvent } from "./src/native/progress.ts";

// Tensors
export { backward, type BackwardOptions, noGrad, withGrad, zeroGradAt } from "./src/torch/autograd.ts";
export { cudaDeviceCount, type Device, synchronize, threads } from "./src/torch/device.ts";
export type { DType, TypedArray } from "./src/torch/dtype.ts";
export { memory, type MemoryStatistics, releaseMemory, resetPeakMemory } from "./src/torch/memory.ts";
export { operator } from "./src/torch/operator.ts";
export * as ops from "./src/torch/ops.ts";
export { Generator } from "./src/torch/random.ts";
export type { OperatorFunction } from "./src/torch/schema_types.ts";
export { detachFromScope, scope } from "./src/torch/scope.ts";
export { liveTensorCount, lostTensorCount, Tensor, traceTensors } from "./src/torch/tensor.ts";
export { item, tensorFrom, type TensorOptions, toNumbers, toTypedArray } from "./src/torch/transfer.ts";

// Models
export { namedParameters, parameterBytes, trainedParameters } from "./src/nn/module.ts";
export {
  Classifier,
  type LabelTarget,
  randomClassifier,
  type RandomClassifierOptions,
  type Target,
} from "./src/models/classifier.ts";
export type {
  Architecture,
  Backbone,
  LanguageModelMaker,
  Pooling,
  RowModule,
  SequenceClassifier,
  TransformerLayer,
} from "./src/models/contract.ts";
export type { LoadOptions } from "./src/models/load.ts";
export { checkOutputFolder } from "./src/files/output_folder.ts";
export { saveClassifier, type SaveOptions } from "./src/models/save.ts";

// The hub
export { modelFolder } from "./src/hub/model_folder.ts";
export type { DownloadEvent, HubOptions, Patience } from "./src/hub/options.ts";
export { openRepository, type Repository, type RepositoryKind } from "./src/hub/repository.ts";

// Data
export { type EncodedExample, encodeExamples } from "./src/data/encode.ts";
export { type Example, type ExampleColumns, readExamples } from "./src/data/examples.ts";
export { glueTaskNamed, glueTasks } from "./src/data/glue/tasks.ts";
export type { GlueFile, GluePart, GlueTask, TsvColumn } from "./src/data/glue/tasks.ts";
export { discoverLabels, LabelSet } from "./src/data/labels.ts";
export { type ClassNames, readTable, type Table, type TableOptions } from "./src/data/table.ts";
export { loadTokenizer, Tokenizer } from "./src/data/tokenizer.ts";

// Selective fine-tuning
export {
  packBatch,
  type PackedBatch,
  packingFor,
  packMaskedBatch,
  type PackOptions,
  type Sequence,
} from "./src/selective/batch.ts";
export type { DropoutRandom } from "./src/selective/attend.ts";
export { forward } from "./src/selective/forward.ts";
export {
  accumulateGradients,
  type ActivationMode,
  type GradientOptions,
  type LossOf,
  type Precision,
  type Work,
} from "./src/selective/gradients.ts";
export type { KeptStates } from "./src/selective/kept_states.ts";
export { type ActivationPlan, estimatePeak } from "./src/selective/peak_estimate.ts";
export { planActivations } from "./src/selective/plan.ts";
export type { PlannedStep } from "./src/selective/step_shape.ts";
export { allPositions, type SelectionSize, selectPositions } from "./src/selective/positions.ts";

// Methods
export { applyMethod } from "./src/methods/apply.ts";
export type { Method, OpenParts, WeightMethod } from "./src/methods/contract.ts";
export type { FreezeOptions } from "./src/methods/freeze.ts";
export { type ClassifierOptions, loadClassifier } from "./src/methods/load.ts";
export type { BitfitOptions } from "./src/methods/bitfit.ts";
export type { DiffOptions } from "./src/methods/diff.ts";
export type { LoraOptions } from "./src/methods/lora.ts";
export type { LstOptions } from "./src/methods/lst.ts";
export type { MaskOptions } from "./src/methods/mask.ts";
export { mergeAdapter, type MergedAdapter } from "./src/methods/merge.ts";
export { describeMethods, type MethodDescription, type MethodTable } from "./src/methods/describe.ts";
export { parseMethod } from "./src/methods/parse.ts";
export type { PositionPolicy } from "./src/selective/policies.ts";
export type { MethodOptions } from "./src/methods/registry.ts";
export type { PrefixOptions } from "./src/methods/prefix.ts";
export type { PromptOptions } from "./src/methods/prompt.ts";
export { saveAdapter } from "./src/methods/save_adapter.ts";
export type { SideOptions } from "./src/methods/side.ts";

// Export
export { exportOnnx, type OnnxOptions, type OnnxResult } from "./src/export/onnx.ts";

// Training
export { AdamW, type AdamWOptions, type AdamWState, isDecayed } from "./src/train/adamw.ts";
export type { Evaluation } from "./src/train/best.ts";
export { newestCheckpoint } from "./src/train/checkpoint.ts";
export type { ClassWeights } from "./src/train/class_weights.ts";
export { clipGradNorm, type Clipping } from "./src/train/clip.ts";
export type { LooseTrainConfig, TrainConfig } from "./src/train/config/options.ts";
export { readConfig } from "./src/train/config/read.ts";
export { configText } from "./src/train/config/write.ts";
export { type Dataset, openDataset } from "./src/train/dataset.ts";
export { evaluate, type Metrics, predictLogits, probabilities } from "./src/train/evaluate.ts";
export type {
  CheckpointEvent,
  EvaluationEvent,
  NoticeEvent,
  ResumeEvent,
  StepEvent,
  TrainEvent,
} from "./src/train/events.ts";
export {
  fineTune,
  type FineTuneEvent,
  type FineTuneOptions,
  type FineTuneResult,
  type ProgressEvent,
} from "./src/train/fine_tune.ts";
export type { GlueReadOptions, GlueSource } from "./src/train/glue_data.ts";
export { evaluateGlue, type GlueEvaluateOptions, type GlueEvaluation } from "./src/train/glue_evaluate.ts";
export { glueScore } from "./src/train/glue_score.ts";
export { glueSubmission } from "./src/train/glue_submission.ts";
export { type PredictOptions } from "./src/train/in_batches.ts";
export { type TrainingExample } from "./src/train/lesson.ts";
export { type MetricsLine, readMetrics } from "./src/train/log/metrics_file.ts";
export type { LogOptions } from "./src/train/log/run_log.ts";
export { lossOf, type LossOptions, type LossSettings } from "./src/train/loss.ts";
export { type ProfileOptions, profileStep } from "./src/train/profile.ts";
export type { MakeClassifier } from "./src/train/profile_measure.ts";
export type { BytesByUse, PieceMemory } from "./src/train/profile_memory.ts";
export type { Piece, StepPhase } from "./src/train/pieces.ts";
export type {
  PeakProfile,
  PhaseProfile,
  PieceProfile,
  ProfilePhase,
  ProfileSettings,
  StepProfile,
} from "./src/train/step_profile.ts";
export {
  type LabelPrediction,
  loadPredictor,
  type NumberPrediction,
  type Prediction,
  Predictor,
  type PredictorOptions,
  type TableMetrics,
  type TextPrediction,
} from "./src/train/predictor.ts";
export { type Preset, presetNames, presetOf, presetOptions } from "./src/train/presets.ts";
export { learningRateAt, linearSchedule, type Schedule, type ScheduleOptions } from "./src/train/schedule.ts";
export type { Combination, Grid } from "./src/train/sweep/grid.ts";
export type { RunResult, SweepRun } from "./src/train/sweep/runs.ts";
export type { SweepSummary } from "./src/train/sweep/summary.ts";
export {
  planSweep,
  type RunEvent,
  sweep,
  type SweepEvent,
  type SweepOptions,
  type SweepResult,
} from "./src/train/sweep/sweep.ts";
export { type Columns, type Task } from "./src/train/table_data.ts";
export type { TableSources } from "./src/train/table_sources.ts";
export { train, type TrainingData, type TrainResult } from "./src/train/train.ts";
export type { CheckpointOptions, TrainOptions } from "./src/train/train_options.ts";
