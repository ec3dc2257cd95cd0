/** Puts the classes of lazy objects where functions look for Node's. */
import { FacadeRequest, takingLazy } from "./request.ts";
import { FacadeResponse } from "./response.ts";

const FACADE = { Request: FacadeRequest, Response: FacadeResponse, fetch: takingLazy(fetch) };

/** Replaces Node's Request, Response and fetch, in the form that each has. */
export function installFetchObjects(): void {
  for (const [name, value] of Object.entries(FACADE)) {
    const ordinary = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { ...ordinary, value });
  }
}
