// Scopes: they own the tensors made inside them and free them at their end, so that nothing waits for the collector.

import { FewtuneError } from "../errors.ts";

/** What a scope owns: freed with it unless it leaves as part of the result. */
export interface Owned {
  /** Gives up the native memory; called by the scope at its end. */
  dispose(): void;
  /** Changes the owner: `null` means that nobody frees it but whoever holds it. */
  moveTo(owner: Scope | null): void;
}

/** A set of tensors that are freed together. */
export class Scope {
  readonly #owned = new Set<Owned>();

  add(owned: Owned): void {
    this.#owned.add(owned);
  }

  remove(owned: Owned): void {
    this.#owned.delete(owned);
  }

  owns(owned: Owned): boolean {
    return this.#owned.has(owned);
  }

  /** Frees all that is still owned. */
  close(): void {
    for (const owned of this.#owned) owned.dispose();
  }
}

const open: Scope[] = [];

/** The innermost open scope, or null outside all of them. */
export function currentScope(): Scope | null {
  return open.at(-1) ?? null;
}

/**
 * Runs `body` and frees every tensor made inside it, except those in its result (a tensor, or arrays and plain
 * objects of tensors), which move to the surrounding scope. A tensor made outside stays where it is.
 *
 * @throws {FewtuneError} when `body` is asynchronous: a scope ends when its function returns
 *
 * @example
 * ```ts
 * import { initialize, item, liveTensorCount, ops, scope, tensorFrom } from "../../mod.ts";
 * await initialize();
 * const before = liveTensorCount();
 * const sum = scope(() => {
 *   const x = tensorFrom([1, 2, 3]);
 *   return ops.sum(ops.mul(x, x));
 * });
 * console.assert(item(sum) === 14 && liveTensorCount() === before + 1);
 * sum.dispose();
 * ```
 */
export function scope<T>(body: () => T): T {
  const inner = new Scope();
  const outer = currentScope();
  open.push(inner);
  try {
    const result = body();
    if (result instanceof Promise) {
      throw new FewtuneError(
        "scope() was given an asynchronous function: its tensors would be freed while it still runs",
      );
    }
    visit(result, (owned) => {
      if (inner.owns(owned)) owned.moveTo(outer);
    });
    return result;
  } finally {
    open.pop();
    inner.close();
  }
}

/** Takes a tensor (or arrays and plain objects of tensors) out of every scope: it lives until it is disposed. */
export function detachFromScope<T>(value: T): T {
  visit(value, (owned) => owned.moveTo(null));
  return value;
}

function visit(value: unknown, move: (owned: Owned) => void): void {
  if (typeof value !== "object" || value === null) return;
  if (isOwned(value)) move(value);
  else if (Array.isArray(value)) { for (const element of value) visit(element, move); }
  else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const field of Object.values(value)) visit(field, move);
  }
}

function isOwned(value: object): value is Owned {
  return "moveTo" in value && typeof value.moveTo === "function";
}
