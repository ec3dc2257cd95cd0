/** POST a PNG, get it back in shades of grey. */
import { decode, encode, hasPngSignature } from "fast-png";
import { toGrey } from "./grey.ts";

/** Width times height: what fits into the function's memory with room to spare. */
const MAX_PIXELS = 4_000_000;

export default async (request: Request): Promise<Response> => {
  if (request.method !== "POST") return new Response("POST a PNG image\n", { status: 405, headers: { allow: "POST" } });
  const bytes = new Uint8Array(await request.arrayBuffer());
  if (!hasPngSignature(bytes)) return new Response("this is no PNG image\n", { status: 415 });
  // Width and height stand at a fixed place (PNG, section 11.2.1): known before anything is unpacked.
  const header = new DataView(bytes.buffer, bytes.byteOffset);
  if (bytes.length < 24 || header.getUint32(16) * header.getUint32(20) > MAX_PIXELS) {
    return new Response(`at most ${MAX_PIXELS} pixels\n`, { status: 413 });
  }
  const grey = encode(toGrey(decode(bytes)));
  return new Response(grey as Uint8Array<ArrayBuffer>, { headers: { "content-type": "image/png" } });
};
