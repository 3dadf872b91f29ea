// What a reader sees of a raw e-mail: its subject and the text of its body, and nothing of the other headers.
import PostalMime from "npm:postal-mime@4.0.0";

/** Longer than what any model here reads; keeps attachments that pass for text from costing time. */
const maxCharacters = 5_000;

/**
 * The subject, and after it the body: its plain part, else its HTML without the markup; transfer encodings and
 * character sets are decoded, attachments left out, and runs of white space become one space.
 */
export async function mailText(raw: string): Promise<string> {
  // Bytes that were lost when the message was stored as UTF-8 would otherwise be decoded again as Latin-1.
  const mail = await PostalMime.parse(raw.replaceAll("\uFFFD", "?"));
  const plain = mail.text?.trim() || htmlText(mail.html ?? "").trim() || rawBody(raw);
  return `${mail.subject ?? ""} ${plain}`.replace(/\s+/g, " ").trim().slice(0, maxCharacters);
}

/** All after the first blank line, as it was sent, without white space around it. */
export function rawBody(raw: string): string {
  const blankLine = /\r?\n\r?\n/.exec(raw);
  return blankLine ? raw.slice(blankLine.index + blankLine[0].length).trim() : "";
}

/** The text between the tags: enough to read by, not a browser. */
function htmlText(html: string): string {
  return html
    .replace(/<!--[\s\S]*?(-->|$)|<(style|script|title)\b[\s\S]*?<\/\2\s*>/gi, " ")
    .replace(/<[^>]*>/g, " ")
    .replace(
      /&(#\d+|\w+);?/g,
      (entity, name: string) => entities.get(name.toLowerCase()) ?? numericEntity(name, entity),
    );
}

const entities: ReadonlyMap<string, string> = new Map([
  ["nbsp", " "],
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
]);

function numericEntity(name: string, entity: string): string {
  const code = Number(name.slice(1));
  return name.startsWith("#") && code > 0 && code <= 0x10FFFF ? String.fromCodePoint(code) : entity;
}
