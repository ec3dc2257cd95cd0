/**
 * What the lazy objects of the fetch API have in common.
 *
 * A Request and a Response of Node's cost a quarter of a short call, and most functions ask a Request for its URL and give
 * a Response a text. So the two here keep what they were made of, and make Node's own object when somebody asks for
 * more than that. Functions cannot tell the difference: each is an instance of Node's class as well, and what is
 * not answered here is answered by Node's object.
 */

// Captured before tenant code.
const { apply, defineProperty, getOwnPropertyDescriptor, ownKeys, setPrototypeOf } = Reflect;
const hasInstance = Function.prototype[Symbol.hasInstance];

type Class = abstract new (...args: never[]) => object;

/** Makes `own` stand for `nodes`, Node's class of that name. @param nodeOf Node's object behind one, or itself when it is one. */
export function standFor(own: Class, nodes: Class, nodeOf: (object: object) => object): void {
  setPrototypeOf(own, nodes);
  setPrototypeOf(own.prototype, nodes.prototype);
  for (const key of ownKeys(nodes.prototype)) {
    if (typeof key !== "string" || key === "constructor") continue;
    const ours = getOwnPropertyDescriptor(own.prototype, key);
    if (ours === undefined) handOn(own, nodes, key, nodeOf);
    else defineProperty(own.prototype, key, { ...ours, enumerable: true });
  }
  const { name, length } = nodes as unknown as { name: string; length: number };
  defineProperty(own, "name", { value: name, configurable: true });
  defineProperty(own, "length", { value: length, configurable: true });
  // Node's own objects, which fetch and clone make, are instances too.
  defineProperty(own, Symbol.hasInstance, {
    value(this: Class, object: unknown) {
      return apply(hasInstance, this === own ? nodes : this, [object]);
    },
  });
  defineProperty(nodes.prototype, "constructor", { value: own, configurable: true, writable: true });
}

/** Defines a property that is Node's. Names are Node's as well: they show in stack traces. */
function handOn(own: Class, nodes: Class, key: string, nodeOf: (object: object) => object): void {
  const { get, value } = getOwnPropertyDescriptor(nodes.prototype, key) as PropertyDescriptor;
  const shown = { enumerable: true, configurable: true };
  if (get) {
    const getter = function (this: object): unknown {
      return apply(get, nodeOf(this), []);
    };
    defineProperty(getter, "name", { value: `get ${key}`, configurable: true });
    defineProperty(own.prototype, key, { ...shown, get: getter });
  } else if (typeof value === "function") {
    const method = function (this: object, ...args: unknown[]): unknown {
      return apply(value, nodeOf(this), args);
    };
    defineProperty(method, "name", { value: key, configurable: true });
    defineProperty(own.prototype, key, { ...shown, writable: true, value: method });
  }
}

/** Gives an object of Node's the header fields that its lazy one has now. */
export function copyHeaders(from: Headers, to: Headers): void {
  for (const name of [...to.keys()]) to.delete(name);
  for (const [name, value] of from) to.append(name, value);
}
