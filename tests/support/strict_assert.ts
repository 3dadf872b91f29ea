// Loaded before the examples in docstrings run: their `console.assert` throws, so that a wrong example fails.

import assert from "node:assert/strict";

console.assert = (condition, ...message): void => assert.ok(condition, message.join(" ") || "an example is wrong");
