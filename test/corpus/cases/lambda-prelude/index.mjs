import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
export const handler = awslambda.streamifyResponse(async (event, responseStream, _context) => {
  const metadata = { statusCode: 203, headers: { "Content-Type": "text/plain" }, cookies: ["a=1"] };
  responseStream = awslambda.HttpResponseStream.from(responseStream, metadata);
  await pipeline(Readable.from(["one ", "two"]), responseStream);
});
