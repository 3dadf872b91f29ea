// A value whose type nobody has checked, as an object: an empty one where it is none.

export function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}
