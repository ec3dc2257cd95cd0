addEventListener("fetch", (event) => {
  event.respondWith(handle(event.request));
});

async function handle(request) {
  return new Response("heard " + (await request.text()), { headers: { "x-kind": "listener" } });
}
