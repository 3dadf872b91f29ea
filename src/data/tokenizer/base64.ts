// Base64, as tokenizer.json holds bytes.

/** @throws {Error} when the text is not base64 */
export function decodeBase64(text: string): Uint8Array {
  let binary: string;
  try {
    binary = atob(text);
  } catch (cause) {
    throw new Error("its charsmap is not base64", { cause });
  }
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** The inverse of {@linkcode decodeBase64}. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
