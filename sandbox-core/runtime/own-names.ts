/**
 * Gives our modules in a process that becomes a sandbox names that tell nothing of the host:
 * `node:sandpiper/runtime/call.ts`.
 *
 * A function's own code sees names of modules in stack traces, call sites and the inspector,
 * whatever is done to the texts that we write. So this has to be imported before the modules that
 * it names. Libraries that read stacks take what begins with `node:` for what it is to a function:
 * part of the machine below.
 */
import { registerHooks } from "node:module";
import { OWN_NAMES } from "./own-prefix.ts";

const HERE = import.meta.url;
const FOLDER = new URL("..", HERE).href;

const hooks = registerHooks({
  resolve(specifier, context, next) {
    const { parentURL } = context;
    const found = next(specifier, parentURL === undefined ? context : { ...context, parentURL: placeOf(parentURL) });
    // This module is there already, under the name that it has.
    if (!found.url.startsWith(FOLDER) || found.url === HERE) return found;
    return { ...found, url: OWN_NAMES + found.url.slice(FOLDER.length) };
  },
  load(url, context, next) {
    if (!url.startsWith(OWN_NAMES)) return next(url, context);
    return { ...next(placeOf(url), context), shortCircuit: true };
  },
});

/** Where the module of a name is. */
function placeOf(name: string): string {
  return name.startsWith(OWN_NAMES) ? FOLDER + name.slice(OWN_NAMES.length) : name;
}

/** Ends it, once all of our modules are there: what a function loads is none of ours. */
export function allAreNamed(): void {
  hooks.deregister();
}
