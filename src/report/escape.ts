// Text made safe for where it stands in a page.

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it stands between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? "");
}

/** A value as JSON inside a script element. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** A program inside a script element: what would end it, or begin a comment, stands only in strings. */
export function scriptText(program: string): string {
  return program.replaceAll(/<(?=\/script|!--)/gi, "\\x3c");
}
