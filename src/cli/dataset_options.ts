// The flags that say which dataset on the hub.

import { Option } from "npm:@commander-js/extra-typings@15.1.0";

/** The dataset. */
export const dataset = new Option("--dataset <name>", "dataset on the hub instead of table files: org/name[:config]");

/** Which state of it. */
export const revision = new Option(
  "--dataset-revision <revision>",
  "of the dataset: branch, tag or commit (default: main)",
);
