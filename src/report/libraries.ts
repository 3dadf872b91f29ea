// Vega and Vega-Lite: loaded only when a report is made, and then from the package cache.

// Not written into the imports, so that a command that makes no report does not fetch them.
const vegaLite: string = "npm:vega-lite@6.5.0";
const vega: string = "npm:vega@6.4.0";

/** Vega's specification of a chart in Vega-Lite. */
export async function compileChart(spec: object): Promise<object> {
  const { compile }: VegaLite = await import(vegaLite);
  return compile(spec).spec;
}

/** The text of Vega's build for a browser, which defines `vega`. */
export async function vegaScript(): Promise<string> {
  await import(vega);
  const build: { readonly default: string } = await import(new URL("vega.min.js", import.meta.resolve(vega)).href, {
    with: { type: "text" },
  });
  return build.default;
}

interface VegaLite {
  readonly compile: (spec: object) => { readonly spec: object };
}
