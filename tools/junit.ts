// Reads the JUnit report that `deno test` writes: the only counts that do not depend on how its summary looks.

/** What a test run did. */
export interface Report {
  /** The files, or examples in files, whose tests ran; without a leading `./`. */
  readonly suites: ReadonlySet<string>;
  readonly passed: number;
  /** The names of the tests that failed, with the suite. */
  readonly failures: readonly string[];
}

/** Reads a report; one that is missing or empty tells of nothing. */
export function readReport(path: string): Report {
  return parseReport(Deno.readTextFileSync(path));
}

/** Takes a report apart. A step counts as a test, a skipped test as none. */
export function parseReport(xml: string): Report {
  const suites = [...xml.matchAll(/<testsuite name="([^"]*)"/g)].map(([, name = ""]) => plainText(name));
  const cases = [...xml.matchAll(/<testcase name="([^"]*)" classname="([^"]*)"[^>]*>(.*?)<\/testcase>/gs)];
  const isFailure = (body: string): boolean => /<(failure|error)\b/.test(body);
  return {
    suites: new Set(suites),
    passed: cases.filter(([, , , body = ""]) => !isFailure(body) && !body.includes("<skipped")).length,
    failures: cases.filter(([, , , body = ""]) => isFailure(body)).map(([, name = "", suite = ""]) =>
      `${plainText(suite)}: ${plainText(name)}`
    ),
  };
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function plainText(escaped: string): string {
  return escaped.replace(/^\.\//, "").replaceAll(/&(\w+);/g, (whole, name: string) => entities[name] ?? whole);
}
