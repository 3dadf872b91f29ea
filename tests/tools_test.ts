// The test runner's counting: what a report says, with failures, skipped tests and steps.

import assert from "node:assert/strict";
import { parseReport } from "../tools/junit.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="2" errors="0" time="0.024">
    <testsuite name="./tests/a_test.ts" tests="5" disabled="1" errors="0" failures="2">
        <testcase name="fine" classname="./tests/a_test.ts" time="0.001" line="1" col="6">
        </testcase>
        <testcase name="bad &lt;x&gt; &amp; &quot;y&quot;" classname="./tests/a_test.ts" time="0.009" line="2" col="6">
            <failure message="Uncaught Error: no">Error: no
    at file:///a_test.ts:2:36</failure>
        </testcase>
        <testcase name="skipped" classname="./tests/a_test.ts" time="0.000" line="3" col="11">
            <skipped/>
        </testcase>
        <testcase name="steps" classname="./tests/a_test.ts" time="0.002" line="4" col="6">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="steps &gt; one" classname="./tests/a_test.ts" time="0.000" line="4" col="43">
        </testcase>
    </testsuite>
</testsuites>
`;

Deno.test("passed, failed and skipped tests are told apart, by name", () => {
  const { suites, passed, failures } = parseReport(report);
  assert.deepEqual([...suites], ["tests/a_test.ts"]);
  assert.equal(passed, 2);
  assert.deepEqual(failures, ['tests/a_test.ts: bad <x> & "y"', "tests/a_test.ts: steps"]);
});

Deno.test("a report of nothing counts nothing", () => {
  const empty = { suites: new Set(), passed: 0, failures: [] };
  assert.deepEqual(parseReport('<testsuites name="deno test" tests="0"></testsuites>'), empty);
  assert.deepEqual(parseReport(""), empty);
});
