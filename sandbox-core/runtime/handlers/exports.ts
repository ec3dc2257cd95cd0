/** The exports of a module, whether an ES module or CommonJS wrote them. */

export type Exports = Record<string, unknown>;

/** Most names of one module that a message lists. */
const MOST_LISTED = 30;

/** The exports of a bundle: of an ES module, or of CommonJS behind a default export. */
export class ModuleExports {
  readonly #exported: Exports;
  /** The default export, that of TypeScript which was compiled to CommonJS unwrapped. */
  readonly main: unknown;
  #all: Exports | null = null;

  constructor(namespace: object) {
    this.#exported = namespace as Exports;
    this.main = unwrap(this.#exported.default);
  }

  /** An export by its name, on the default export where the module has no other of that name. */
  named(name: string): unknown {
    if (name === "default") return this.main;
    return this.#exported[name] ?? (isObject(this.main) ? this.main[name] : undefined);
  }

  /** All exports by name, but for those that throw when they are read. */
  all(): Exports {
    this.#all ??= { ...membersOf(this.main), ...membersOf(this.#exported) };
    return this.#all;
  }

  /**
   * The one function among the exports that can be a handler, with its name, or null. A class is
   * none, and neither is the platform's hook, or one of these names.
   */
  onlyFunction(except: readonly string[] = []): [name: string, value: object] | null {
    const others = ["afterRestore", ...except];
    const functions = Object.entries(this.all()).filter(
      (entry): entry is [string, object] =>
        !others.includes(entry[0]) && typeof entry[1] === "function" && !isClass(entry[1]),
    );
    return functions.length === 1 ? (functions[0] as [string, object]) : null;
  }

  /** The names and types of all exports, those of a CommonJS module too. */
  describe(): string {
    const names = described(this.#exported);
    return names.length === 0 ? "nothing" : listed(names);
  }
}

/**
 * The members of an object by name. A getter of a CommonJS module may throw, and is nobody's
 * concern until somebody needs it.
 */
export function membersOf(place: unknown): Exports {
  if (!isObject(place)) return {};
  const members = new Map<string, unknown>();
  for (const name of unlessThrown(() => Object.keys(place)) ?? []) {
    const read = unlessThrown(() => ({ value: place[name] }));
    if (read !== undefined) members.set(name, read.value);
  }
  // fromEntries defines members, whatever they are called.
  return Object.fromEntries(members);
}

function unlessThrown<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Exports {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function unwrap(main: unknown): unknown {
  return isObject(main) && main.__esModule === true && main.default !== undefined ? main.default : main;
}

function isClass(value: object): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

function described(exported: Exports): string[] {
  return Object.entries(membersOf(exported))
    .filter(([name]) => name !== "__esModule")
    .map(([name, value]) => `${name} (${typeName(value)}${name === "default" ? itsMembers(value) : ""})`);
}

/** What a default export has, which are the exports of a CommonJS module. */
function itsMembers(main: unknown): string {
  const { default: _, ...exported } = membersOf(main);
  const members = described(exported);
  return members.length === 0 ? "" : ` with ${listed(members)}`;
}

function typeName(value: unknown): string {
  return value === null ? "null" : typeof value;
}

function listed(names: string[]): string {
  const more = names.length > MOST_LISTED ? ` and ${names.length - MOST_LISTED} more` : "";
  return names.slice(0, MOST_LISTED).join(", ") + more;
}
