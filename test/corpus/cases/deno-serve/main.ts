Deno.serve((_req: Request) => new Response("Hello, Deno"));
