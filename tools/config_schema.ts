// Writes train_config.schema.json: the JSON Schema of training configurations.

import { configSchemaText } from "../src/train/config/json_schema.ts";

Deno.writeTextFileSync(new URL("../train_config.schema.json", import.meta.url), configSchemaText());
