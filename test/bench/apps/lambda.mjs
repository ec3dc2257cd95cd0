/** For serverless-offline, which speaks AWS Lambda's protocol: a body of bytes goes as base64. */
import { BINARY, HELLO, ITEMS } from "./payloads.mjs";

export const hello = async () => ({ statusCode: 200, body: HELLO });

export const json = async () => ({
  statusCode: 200,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(ITEMS),
});

export const binary = async () => ({
  statusCode: 200,
  headers: { "content-type": "application/octet-stream" },
  isBase64Encoded: true,
  body: Buffer.from(BINARY).toString("base64"),
});
