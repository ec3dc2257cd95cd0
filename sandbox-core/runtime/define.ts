/** Hidden from enumeration, and replaceable, as Node's own globals are. */
export function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: false });
}
