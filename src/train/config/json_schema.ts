// The JSON Schema of configurations, with which editors complete and check them.

import * as z from "npm:zod@4.6.7";
import { withoutDefault } from "../../options/values.ts";
import { canVary } from "../sweep/grid.ts";
import { runOptions } from "./options.ts";

/** The schema's text: what `train_config.schema.json` holds. */
export function configSchemaText(): string {
  const $schema = z.string().describe("the JSON Schema that an editor uses");
  const config = z.strictObject({ $schema, ...runOptions, grid: gridSchema() }).partial();
  const schema = z.toJSONSchema(config.describe("The options of fewtune train and fewtune sweep"), { io: "input" });
  return JSON.stringify(schema, null, 2) + "\n";
}

function gridSchema(): z.ZodType {
  const varied = Object.entries(runOptions).filter(([name]) => canVary(name));
  const values = varied.map(([name, schema]) => [name, z.array(withoutDefault(schema)).min(1)] as const);
  return z.strictObject(Object.fromEntries(values)).partial()
    .describe("of a sweep alone: for each option that varies, the values to try");
}
