// The JSON Schema of configurations, with which editors complete and check them.

import * as z from "npm:zod@4.6.7";
import { canVary } from "../sweep/grid.ts";
import { runOptions } from "./options.ts";

/** The schema's text: what `train_config.schema.json` holds. */
export function configSchemaText(): string {
  const $schema = z.string().describe("the JSON Schema that an editor uses");
  const config = z.strictObject({ $schema, ...runOptions }).partial();
  const described = config.describe("The options of fewtune train, and with a grid of fewtune sweep");
  const schema = z.toJSONSchema(described, { io: "input" });
  const properties = { ...schema.properties, grid: gridSchema() };
  return JSON.stringify({ ...schema, properties }, null, 2) + "\n";
}

function gridSchema(): Record<string, unknown> {
  const names = Object.keys(runOptions).filter(canVary);
  const lists = names.map((name) => [name, { type: "array", minItems: 1, items: { $ref: `#/properties/${name}` } }]);
  return {
    type: "object",
    properties: Object.fromEntries(lists),
    additionalProperties: false,
    description: "of a sweep alone: for each option that varies, the values to try",
  };
}
