/**
 * The common base of the lazy objects of the fetch API.
 *
 * A Request and a Response of Node's cost a quarter of a short call, and most functions ask a
 * Request for its URL and give a Response a text. So lazy objects keep what they were made of, and
 * make Node's own object when somebody asks for more than that. Functions cannot tell the
 * difference: a lazy object has Node's prototype, whose members know both, and the class that
 * functions find is Node's behind a Proxy, which only sees what is constructed.
 */
import { markAsUncloneable } from "node:worker_threads";

// Captured before tenant code.
const { apply, construct, defineProperty, getOwnPropertyDescriptor, ownKeys } = Reflect;

type Class = abstract new (...args: never[]) => object;
type AnyFunction = (...args: unknown[]) => unknown;

/** How objects of one class are made lazily. */
export interface Lazy {
  /** Node's class. */
  nodes: Class;
  /**
   * The getters that a lazy object answers itself, by name; Node's object answers everything else.
   */
  answers: Record<string, (object: never) => unknown>;
  isLazy: (value: unknown) => boolean;
  /** Node's object behind a lazy one. */
  toNode: (object: object) => object;
  /**
   * Gives a lazy object for the arguments of `new`; or null, and Node's class gets the arguments as
   * they are then.
   */
  make: (args: unknown[], isExtended: boolean) => object | null;
}

/** Gives lazy objects the members of Node's prototype, and makes the class that functions find. */
export function facadeOf(lazy: Lazy): Class {
  const { nodes, make } = lazy;
  for (const key of ownKeys(nodes.prototype)) {
    if (typeof key === "string" && key !== "constructor") teach(nodes.prototype, key, lazy);
  }
  const facade: Class = new Proxy(nodes, {
    construct(_nodes, args, newTarget) {
      const isExtended = newTarget !== facade;
      return make(args, isExtended) ?? construct(nodes, args, isExtended ? newTarget : nodes);
    },
  });
  const descriptor = getOwnPropertyDescriptor(nodes.prototype, "constructor");
  defineProperty(nodes.prototype, "constructor", { ...descriptor, value: facade });
  return facade;
}

/**
 * Has a member of Node's prototype know lazy objects. Names are Node's as well: they show in stack
 * traces.
 */
function teach(prototype: object, key: string, { answers, isLazy, toNode }: Lazy): void {
  const nodes = getOwnPropertyDescriptor(prototype, key) as PropertyDescriptor;
  const { get: nodesGet, value: nodesValue } = nodes;
  if (nodesGet !== undefined) {
    const answer = answers[key] ?? ((object: object) => apply(nodesGet, toNode(object), []));
    const getter = {
      get [key](): unknown {
        return isLazy(this) ? answer(this as never) : apply(nodesGet, this, []);
      },
    };
    const { get } = getOwnPropertyDescriptor(getter, key) as { get: () => unknown };
    defineProperty(prototype, key, { ...nodes, get });
  } else if (typeof nodesValue === "function") {
    const { [key]: value } = {
      [key](this: object, ...args: unknown[]): unknown {
        return apply(nodesValue as AnyFunction, isLazy(this) ? toNode(this) : this, args);
      },
    };
    defineProperty(prototype, key, { ...nodes, value });
  }
}

/** A way to make objects that have the fields of `own` and the prototype of `nodes`. */
export function makerOf<Args extends unknown[]>(own: new (...args: Args) => object, nodes: Class) {
  function Shell(): void {}
  Shell.prototype = nodes.prototype;
  return (args: Args): object => {
    const object: object = construct(own, args, Shell);
    // As Node does with each of its own.
    markAsUncloneable(object);
    return object;
  };
}

/** Gives an object of Node's the header fields that its lazy one has now. */
export function copyHeaders(from: Headers, to: Headers): void {
  for (const name of [...to.keys()]) to.delete(name);
  for (const [name, value] of from) to.append(name, value);
}
