// Fewtune's version is written in two places, which agree.

import assert from "node:assert/strict";
import { version } from "../../src/version.ts";
import configuration from "../../deno.json" with { type: "json" };

Deno.test("version is deno.json's", () => {
  assert.equal(version, configuration.version);
});
