/** Takes source files ahead of the deployments that name them. */
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { errorSchema, sourcesAskedSchema, sourcesMissingSchema } from "../../../functions/api/schemas.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { MAX_SOURCE_BYTES } from "../../../functions/model/sources.ts";
import { MIB } from "../../../infra/std/bytes.ts";
import { readBody } from "../../http/request-body.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";
import { keepSources, lackingSources } from "../sources.ts";

/** As many digests as a deployment may have files. */
const MAX_ASKED_BYTES = MIB;
/** A whole source tree, with its names. */
const MAX_UPLOAD_BYTES = MAX_SOURCE_BYTES + MIB;

const missingRoute = keyedRoute({
  method: "post",
  path: "/v1/sources/missing",
  summary: "Ask which source files are to be uploaded",
  request: { body: { required: true, ...jsonBody(sourcesAskedSchema, "Digests of the files of a deployment.") } },
  responses: {
    200: jsonBody(sourcesMissingSchema, "Those that the tenant has not uploaded, or that were collected since."),
    400: jsonBody(errorSchema, "What was sent is no list of digests."),
  },
});

const uploadRoute = keyedRoute({
  method: "post",
  path: "/v1/sources",
  summary: "Upload source files",
  request: {
    body: {
      required: true,
      description:
        "The files packed, each named by the SHA-256 of its bytes in hex: `SPSRC001`, the number of files, and for each " +
        "the length of its name, the name, the length of its bytes, the bytes. Numbers are of 32 bits, little-endian.",
      content: { "application/octet-stream": { schema: z.string().meta({ format: "binary" }) } },
    },
  },
  responses: {
    204: { description: "They are there, and a deployment may name them. Those that none names are collected." },
    400: jsonBody(errorSchema, "They are not packed so, or a name is not that of its bytes. None was kept."),
    413: jsonBody(errorSchema, "The files are too large."),
    429: jsonBody(errorSchema, "The tenant's deployments wrote more than they may in a day."),
  },
});

/** Adds the routes below /v1/sources. */
export function sourceRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { artifacts, uploads } = parts;
  app.on("POST", "/v1/sources/missing", bodyLimit(MAX_ASKED_BYTES, uploads));
  app.openapi(missingRoute, async (c) => {
    const store = artifacts.sourcesOf(c.var.principal.tenant);
    return c.json({ missing: await lackingSources(store, c.req.valid("json").sha256) }, 200);
  });

  app.openAPIRegistry.registerPath(uploadRoute);
  app.post(uploadRoute.path, async (c) => {
    const { incoming, outgoing } = c.env;
    const packed = await readBody(incoming, outgoing, { maxBytes: MAX_UPLOAD_BYTES, budget: uploads });
    if (packed === null) throw new SandpiperError("INVALID_REQUEST", { message: "The files are missing." });
    await keepSources(parts, c.var.principal.tenant, packed);
    return c.body(null, 204);
  });
}
