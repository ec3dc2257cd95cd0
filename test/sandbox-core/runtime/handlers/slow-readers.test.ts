/** Replies that are written to `res`, by a handler or a server, as fast as they are read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBody, encodeBodyEnd } from "../../../../sandbox-core/protocol/frames.ts";
import { RuntimeClient } from "../../../helpers/runtime-client.ts";

const PIECE_BYTES = 64 * 1024;
/** More pieces than all buffers on their way hold; those of a server have a loopback among them. */
const WRITERS: Record<string, [pieces: number, module: (listener: string) => string]> = {
  "a handler": [64, (listener) => `export default ${listener}`],
  "a server": [256, (listener) => `import { createServer } from "node:http"; createServer(${listener}).listen(0)`],
};

for (const [writer, [count, moduleOf]] of Object.entries(WRITERS)) {
  test(`the reply of ${writer} goes out as it is written, and the writer waits for a slow reader`, async () => {
    await using runtime = await RuntimeClient.with(
      moduleOf(`async (req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" });
        res.write("first");
        await new Promise((resolve) => req.once("data", resolve));
        const piece = Buffer.alloc(${PIECE_BYTES}, "x");
        let full = 0;
        for (let count = 0; count < ${count}; count++) {
          if (res.write(piece)) continue;
          full++;
          await new Promise((resolve) => res.once("drain", resolve));
        }
        console.log(full > 0, res.writableNeedDrain);
        res.end("last");
      }`),
    );
    const call = runtime.request({ method: "POST", bodyFollows: true });
    const head = await runtime.next("head");
    assert.deepEqual([head.streaming, Buffer.from(head.body).toString()], [true, "first"]);
    runtime.wire.write(encodeBody(call, Buffer.from("go on")));
    runtime.wire.write(encodeBodyEnd(call));
    let [bytes, last] = [0, ""];
    for (;;) {
      const more = await runtime.next("chunk", "end");
      if (more.type === "end") break;
      bytes += more.bytes.length;
      last = Buffer.from(more.bytes).subarray(-4).toString();
    }
    assert.deepEqual([bytes, last], [count * PIECE_BYTES + 4, "last"]);
    assert.equal(runtime.logs[0]?.text, "true false");
  });
}
