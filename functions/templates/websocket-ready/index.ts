import { createServer } from "node:http";
import { WebSocketServer } from "ws";

// Sandpiper passes requests to this server. It passes no upgrades yet: a WebSocket client hears
// UPGRADE_NOT_SUPPORTED (501). What is below "upgrade" works where the server runs by itself, and
// will here without a change once the platform passes upgrades.
const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  const name = url.searchParams.get("name") ?? "world";
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ message: greeting(name) }));
});

const sockets = new WebSocketServer({ noServer: true });

server.on("upgrade", (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (client) => sockets.emit("connection", client, request));
});

sockets.on("connection", (client) => {
  client.on("message", (name) => client.send(greeting(String(name))));
});

server.listen(Number(process.env.PORT ?? 3000));

function greeting(name: string): string {
  return `${process.env.GREETING}, ${name}!`;
}
