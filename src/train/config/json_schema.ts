// The JSON Schema of configurations, with which editors complete and check them.

import * as z from "npm:zod@4.6.7";
import { runOptions } from "./options.ts";

/** The schema's text: what `train_config.schema.json` holds. */
export function configSchemaText(): string {
  const $schema = z.string().describe("the JSON Schema that an editor uses");
  const config = z.strictObject({ $schema, ...runOptions }).partial();
  const schema = z.toJSONSchema(config.describe("The options of fewtune train"), { io: "input" });
  return JSON.stringify(schema, null, 2) + "\n";
}
