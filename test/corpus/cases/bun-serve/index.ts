const server = Bun.serve({
  port: Number(Bun.env.PORT ?? 3000),
  fetch(request: Request) {
    return new Response(`Bun: ${request.method}`);
  },
});
console.log(typeof server);
