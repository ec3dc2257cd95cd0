import { createServer } from "node:http";

// A server as it would run anywhere: the function is called by requests to the port that it listens to.
const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  const name = url.searchParams.get("name") ?? "world";
  console.log(`${request.method} ${url.pathname} for ${name}`);
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ message: `${process.env.GREETING}, ${name}!` }));
});

server.listen(Number(process.env.PORT ?? 3000));
