/** Puts the lazy classes where functions look for them. */
import { LazyRequest, takingLazy } from "./request.ts";
import { LazyResponse } from "./response.ts";

const LAZY = { Request: LazyRequest, Response: LazyResponse, fetch: takingLazy(fetch) };

/** Replaces Node's Request, Response and fetch, in the form that each has. */
export function installFetchObjects(): void {
  for (const [name, value] of Object.entries(LAZY)) {
    const ordinary = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { ...ordinary, value });
  }
}
