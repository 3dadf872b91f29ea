// The flags that say which model.

import { Option } from "npm:@commander-js/extra-typings@15.1.0";

/** The model: a folder here, or a name on the hub. */
export const model = new Option("--model <model>", "folder of a model, or its name on the hub: org/name")
  .makeOptionMandatory();

/** Which state of a model on the hub. */
export const revision = new Option(
  "--revision <revision>",
  "of a model on the hub: branch, tag or commit (default: main)",
);
