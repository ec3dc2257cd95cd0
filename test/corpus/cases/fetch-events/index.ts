export default {
  fetch() {
    const body = new ReadableStream({
      async start(controller) {
        for (const n of [1, 2, 3]) {
          controller.enqueue(new TextEncoder().encode(`data: ${n}\n\n`));
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        controller.close();
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  },
};
