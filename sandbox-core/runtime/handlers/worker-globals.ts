/**
 * Globals of Cloudflare's that have no effect here. Only modules that speak of them find them:
 * others see no such globals, as in plain Node.
 */
import { define } from "../define.ts";

const CACHES = /\bcaches\s*\.\s*(?:default\b|open\s*\()/;
const FACTS = /\b(?:req|request)\s*\??\.\s*cf\b/;

/** Keeps nothing, as Cloudflare's own on hosts without a zone. */
const CACHE = { match: async () => undefined, put: async () => {}, delete: async () => false };

/** Defines what this code speaks of. */
export function defineWorkerGlobals(code: string): void {
  if (CACHES.test(code)) define(globalThis, "caches", { default: CACHE, open: async () => CACHE });
  // What Cloudflare knows of a client is known to nobody here.
  if (FACTS.test(code)) define(Request.prototype, "cf", {});
}
