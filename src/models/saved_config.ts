// The config.json of a saved model: its architecture's own, or where the head is on the mean that of a model file of ours.

import { version } from "../version.ts";
import { type Classifier, type LabelTarget, poolingsOf } from "./classifier.ts";
import { ownModelType } from "./config.ts";

/** The file beside config.json by which transformers loads a model with the head on the mean. */
export const modelFileName = "modeling_fewtune.py";

const modelFile = modelFileName.replace(/\.py$/, "");
const ownClassName = "FewtuneForSequenceClassification";

/** Whether the head is the architecture's standard one, so that its standard class loads the whole model. */
export function hasStandardHead({ architecture, model }: Classifier): boolean {
  return model.pooling === "each" || model.pooling === poolingsOf(architecture)[0];
}

/**
 * The content of config.json. With the head on the mean the model's type is `fewtune`, which transformers refuses unless
 * it is told to trust the model file; the architecture's type is kept in the field `fewtune`.
 */
export function savedConfig(classifier: Classifier): Record<string, unknown> {
  const fields = standardConfig(classifier);
  if (hasStandardHead(classifier)) return fields;
  return {
    ...fields,
    model_type: ownModelType,
    architectures: [ownClassName],
    auto_map: {
      AutoConfig: `${modelFile}.FewtuneConfig`,
      AutoModelForSequenceClassification: `${modelFile}.${ownClassName}`,
    },
    fewtune: {
      ...Object(fields["fewtune"]),
      model_type: fields["model_type"],
      base_prefix: classifier.architecture.basePrefix.replace(/\.$/, ""),
    },
  };
}

/** The same under the architecture's own type, whatever the head reads. */
export function standardConfig(classifier: Classifier): Record<string, unknown> {
  const { architecture, config, labels, model, target } = classifier;
  if (target === "nextToken") return languageModelConfig(classifier);
  const names = target === "regression" ? ["LABEL_0"] : labels;
  const { auto_map: _ofAnotherHead, torch_dtype: _olderName, ...fields } = config.fields;
  return {
    ...fields,
    model_type: config.modelType(),
    architectures: [architecture.classifierName],
    dtype: model.backbone.dtype,
    problem_type: problemType(target),
    id2label: Object.fromEntries(names.entries()),
    label2id: Object.fromEntries(names.map((name, id) => [name, id])),
    fewtune: { version, pooling: model.pooling },
  };
}

function languageModelConfig({ architecture, config, model }: Classifier): Record<string, unknown> {
  const { auto_map: _ofAnotherHead, torch_dtype: _olderName, ...described } = config.fields;
  const { problem_type: _problem, id2label: _names, label2id: _ids, num_labels: _count, ...fields } = described;
  return {
    ...fields,
    model_type: config.modelType(),
    architectures: [architecture.languageModel?.className],
    dtype: model.backbone.dtype,
    fewtune: { version },
  };
}

function problemType(target: LabelTarget | "regression"): string {
  if (target === "regression") return "regression";
  return target.isMultiLabel ? "multi_label_classification" : "single_label_classification";
}
