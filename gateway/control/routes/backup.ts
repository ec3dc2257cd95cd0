/** Backups of everything, and their restores: the operator's alone. */
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import {
  partQuery,
  restoredSchema,
  restoreParam,
  restoreQuery,
  uploadedSchema,
} from "../../../functions/api/backup.ts";
import { errorSchema } from "../../../functions/api/schemas.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { openBackup } from "../../../functions/store/backup/backup.ts";
import { restoreBackup } from "../../../functions/store/backup/restore.ts";
import { BackupUploads } from "../../../functions/store/backup/uploads.ts";
import { MIB } from "../../../infra/std/bytes.ts";
import { readBody } from "../../http/request-body.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { checkOperator } from "../operator.ts";

/** Largest part of an upload: a request must arrive within two minutes. */
const MAX_PART_BYTES = 8 * MIB;

const binary = { "application/octet-stream": { schema: z.string().meta({ format: "binary" }) } };
const operatorOnly = jsonBody(errorSchema, "The key is not the operator's.");
const busy = jsonBody(
  errorSchema,
  "A backup is being made, old versions are collected, or there is something already.",
);
const noUpload = jsonBody(errorSchema, "There is no such upload, or not as much of it.");

const backupRoute = keyedRoute({
  method: "post",
  path: "/v1/backup",
  summary: "Make a backup",
  description: "While everything runs. A file that has no trailer was cut, and is none.",
  responses: {
    200: { description: "The file: docs/OPERATIONS.md describes it.", content: binary },
    ...{ 403: operatorOnly, 409: busy },
  },
});

const partRoute = keyedRoute({
  method: "put",
  path: "/v1/restores/{restore}",
  summary: "Send a part of a backup file",
  request: { params: restoreParam, query: partQuery, body: { required: true, content: binary } },
  responses: { 200: jsonBody(uploadedSchema, "It is there."), 403: operatorOnly, 404: noUpload },
});

const restoreRoute = keyedRoute({
  method: "post",
  path: "/v1/restores/{restore}",
  summary: "Restore the backup that was sent",
  request: { params: restoreParam, query: restoreQuery },
  responses: {
    200: jsonBody(restoredSchema, "It is restored, and what is in it."),
    400: jsonBody(errorSchema, "The file is no whole backup. Nothing was restored."),
    ...{ 403: operatorOnly, 404: noUpload, 409: busy },
  },
});

const dropRoute = keyedRoute({
  method: "delete",
  path: "/v1/restores/{restore}",
  summary: "Forget what was sent of a backup",
  request: { params: restoreParam },
  responses: { 204: { description: "It is gone." }, 403: operatorOnly },
});

/** Adds /v1/backup and the routes below /v1/restores. */
export function backupRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { artifacts, dataKeys, stops } = parts;
  const uploads = new BackupUploads(artifacts.uploads);
  const stores = { redis: parts.bulk, artifacts, dataKeys };

  app.openapi(backupRoute, async (c) => {
    await checkOperator(parts, c);
    const pieces = await openBackup(stores);
    const headers = { "content-type": "application/octet-stream", "cache-control": "no-store" };
    const onError = (error: unknown) => parts.onInternalError(error, c.var.requestId);
    // The types of @hono/zod-openapi know no other answers than JSON and text.
    return new Response(streamOf(pieces, parts.closing, onError), { headers }) as never;
  });

  app.openAPIRegistry.registerPath(partRoute);
  app.put("/v1/restores/:restore", async (c) => {
    await checkOperator(parts, c);
    const { incoming, outgoing } = c.env;
    const query = partQuery.safeParse({ at: c.req.query("at") });
    if (!query.success) throw new SandpiperError("INVALID_REQUEST", { message: "at: how many bytes came before." });
    const bytes = await readBody(incoming, outgoing, { maxBytes: MAX_PART_BYTES, budget: parts.uploads });
    if (bytes === null) throw new SandpiperError("INVALID_REQUEST", { message: "The part of the file is missing." });
    return c.json({ bytes: await uploads.add(c.req.param("restore"), query.data.at, bytes) }, 200);
  });

  app.openapi(restoreRoute, async (c) => {
    await checkOperator(parts, c);
    const { replace, withoutSecrets } = c.req.valid("query");
    const options = { replace: replace === "1", withoutSecrets: withoutSecrets === "1" };
    const work = (open: () => AsyncIterable<Buffer>) => restoreBackup(stores, open, options);
    const restored = await uploads.take(c.req.valid("param").restore, work);
    parts.versions.forgetAll();
    await stops.read();
    return c.json(restored, 200);
  });

  app.openapi(dropRoute, async (c) => {
    await checkOperator(parts, c);
    await uploads.drop(c.req.valid("param").restore);
    return c.body(null, 204);
  });
}

/** Pieces as fast as the client takes them. One that breaks off is seen as that by its client. */
function streamOf(
  pieces: AsyncGenerator<Buffer>,
  closing: AbortSignal,
  onError: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  const end = () => pieces.return(undefined).catch(onError);
  return new ReadableStream(
    {
      start(controller) {
        closing.addEventListener("abort", () => void end().then(() => controller.error(new Error("closing"))), {
          once: true,
        });
      },
      async pull(controller) {
        try {
          const next = await pieces.next();
          if (next.done) controller.close();
          else controller.enqueue(next.value);
        } catch (error) {
          onError(error);
          controller.error(error);
        }
      },
      async cancel() {
        await end();
      },
    },
    { highWaterMark: 1 },
  );
}
