/**
 * Globals of Cloudflare's that have no effect here. Only modules that speak of them find them:
 * others see no such globals, as in plain Node.
 */
import { define } from "../../define.ts";
import { ownCode } from "../own-code.ts";

const CACHES = /\bcaches\s*\.\s*(?:default\b|open\s*\()/;
const FACTS = /\b(?:req|request)\s*\??\.\s*cf\b/;

/** Keeps nothing, as Cloudflare's own on hosts without a zone. */
const CACHE = { match: async () => undefined, put: async () => {}, delete: async () => false };

/** Defines what this code speaks of. */
export function defineWorkerGlobals(code: string): void {
  const own = ownCode(code);
  if (own.includes("caches") && CACHES.test(own)) {
    define(globalThis, "caches", { default: CACHE, open: async () => CACHE });
  }
  // What Cloudflare knows of a client is known to nobody here.
  if (own.includes(".cf") && FACTS.test(own)) define(Request.prototype, "cf", {});
}
