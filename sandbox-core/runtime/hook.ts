/**
 * The function's hook `afterRestore`, by the name that Lambda SnapStart and CRaC have for it: what
 * a copy of a loaded process runs before its first call, to renew what it must not share with other
 * copies.
 */

export type Hook = () => unknown;

type Exports = Record<string, unknown>;

/**
 * The export `afterRestore`, or the same on the default export, which is how a bundle shows a
 * CommonJS module; null when there is none.
 * @throws TypeError when it is no function
 */
export function afterRestoreOf(namespace: object): Hook | null {
  const exported = namespace as Exports;
  const main = exported.default as Exports | null | undefined;
  const hook = exported.afterRestore ?? main?.afterRestore ?? null;
  if (hook === null) return null;
  if (typeof hook !== "function") throw new TypeError("The export `afterRestore` must be a function.");
  return hook.bind(exported.afterRestore === undefined ? main : undefined) as Hook;
}
