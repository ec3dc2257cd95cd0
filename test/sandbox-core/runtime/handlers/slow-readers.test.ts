/** Replies that are written to `res`, by a handler or a server, as fast as they are read. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { encodeBody, encodeBodyEnd } from "../../../../sandbox-core/protocol/frames.ts";
import { RuntimeClient } from "../../../helpers/runtime-client.ts";

const PIECE_BYTES = 64 * 1024;
/** More pieces than all buffers on their way hold; those of a server have a loopback among them. */
const WRITERS: Record<string, [pieces: number, module: (listener: string) => string]> = {
  "a handler": [64, (listener) => `export default ${listener}`],
  "a server": [256, (listener) => `import { createServer } from "node:http"; createServer(${listener}).listen(0)`],
};
/** So many turns of the writer's event loop without "drain" tell that nothing flows. */
const IDLE_TURNS = 1_000;

/**
 * Writes the pieces, and tells on its standard error, which does not go by the wire, how many are
 * written when the first "drain" does not come, or at the end.
 */
const writing = (count: number) => `async (req, res) => {
  const { writeSync } = process.getBuiltinModule("node:fs");
  let told = false;
  const tell = (written) => {
    if (!told) writeSync(2, "[" + written + " written]");
    told = true;
  };
  res.writeHead(200, { "content-type": "text/event-stream" });
  res.write("first");
  await new Promise((resolve) => req.once("data", resolve));
  const piece = Buffer.alloc(${PIECE_BYTES}, "x");
  for (let written = 1; written <= ${count}; written++) {
    if (res.write(piece)) continue;
    let isDrained = false;
    const drained = new Promise((resolve) => res.once("drain", resolve)).then(() => { isDrained = true; });
    for (let turn = 0; !isDrained && turn < ${IDLE_TURNS}; turn++) await new Promise(setImmediate);
    if (!isDrained && res.writableNeedDrain) tell(written);
    await drained;
  }
  tell(${count});
  console.log(res.writableNeedDrain);
  res.end("last");
}`;

for (const [writer, [count, moduleOf]] of Object.entries(WRITERS)) {
  test(`the reply of ${writer} goes out as it is written, and the writer waits for a reader that stalls`, async () => {
    await using runtime = await RuntimeClient.with(moduleOf(writing(count)));
    const call = runtime.request({ method: "POST", bodyFollows: true });
    const head = await runtime.next("head");
    assert.deepEqual([head.streaming, Buffer.from(head.body).toString()], [true, "first"]);
    runtime.wire.pause();
    runtime.wire.write(encodeBody(call, Buffer.from("go on")));
    runtime.wire.write(encodeBodyEnd(call));
    const written = await writtenBy(runtime);
    assert.ok(written < count, `${written} of ${count} pieces were written, and nobody read`);
    runtime.wire.resume();
    let [bytes, last] = [0, ""];
    for (;;) {
      const more = await runtime.next("chunk", "end");
      if (more.type === "end") break;
      bytes += more.bytes.length;
      last = Buffer.from(more.bytes).subarray(-4).toString();
    }
    assert.deepEqual([bytes, last], [count * PIECE_BYTES + 4, "last"]);
    assert.equal(runtime.logs[0]?.text, "false");
  });
}

/** The number of pieces that the writer tells of. */
async function writtenBy({ process: { stderr } }: RuntimeClient): Promise<number> {
  let said = "";
  for (;;) {
    const [, pieces] = /\[(\d+) written\]/.exec(said) ?? [];
    if (pieces !== undefined) return Number(pieces);
    const [text] = await once(stderr as NonNullable<typeof stderr>, "data");
    said += text;
  }
}
