/** `node miniflare.mjs PORT`: miniflare with the worker of fetch.mjs. */
import { createRequire } from "node:module";

const { Miniflare } = createRequire(import.meta.url)("miniflare");
const miniflare = new Miniflare({
  port: Number(process.argv[2]),
  host: "127.0.0.1",
  modules: ["fetch.mjs", "payloads.mjs"].map((path) => ({ type: "ESModule", path })),
  compatibilityDate: "2026-01-01",
});
process.once("SIGTERM", () => void miniflare.dispose().finally(() => process.exit()));
await miniflare.ready;
