// Fewtune's own version, readable where deno.json is not: from a URL.

/** The version of this Fewtune, as in deno.json. */
export const version = "0.1.0";
