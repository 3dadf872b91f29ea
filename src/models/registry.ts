// The architectures that Fewtune knows, by the `model_type` in a checkpoint's config.json.

import { CheckpointError } from "../errors.ts";
import { bert } from "./bert.ts";
import type { ConfigReader } from "./config.ts";
import type { Architecture } from "./contract.ts";
import { distilbert } from "./distilbert.ts";
import { opt } from "./opt.ts";
import { quoteName } from "../files/shown.ts";
import { roberta, xlmRoberta } from "./roberta.ts";

const architectures: readonly Architecture[] = [bert, roberta, xlmRoberta, distilbert, opt];

/** The architecture that a configuration is for. */
export function architectureOf(config: ConfigReader): Architecture {
  const modelType = config.modelType();
  const found = architectures.find((architecture) => architecture.modelType === modelType);
  if (found) return found;
  const known = architectures.map((architecture) => architecture.modelType).join(", ");
  throw new CheckpointError(
    `${config.path}: model_type ${quoteName(modelType)} is not known here, known are: ${known}`,
  );
}
