/** Streams a text word by word: the first words arrive while the last are not yet written. */
import { setTimeout as wait } from "node:timers/promises";
import verse from "./verse.txt";

const LONGEST_PAUSE_MS = 1_000;

async function* words(pauseMs: number): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for (const word of verse.split(/(?<=\s)/)) {
    yield encoder.encode(word);
    await wait(pauseMs);
  }
}

export default {
  fetch(request: Request): Response {
    const asked = Number(new URL(request.url).searchParams.get("pauseMs") ?? 20);
    const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(0, asked || 0));
    return new Response(ReadableStream.from(words(pauseMs)), {
      headers: { "content-type": "text/plain; charset=utf-8" },
    });
  },
};
