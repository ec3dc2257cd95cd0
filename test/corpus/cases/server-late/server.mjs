import { createServer } from "node:http";
async function main() {
  await new Promise((resolve) => setTimeout(resolve, 5));
  const server = createServer(async (req, res) => {
    let text = "";
    for await (const chunk of req) text += chunk;
    res.end("late " + text);
  });
  server.listen({ port: Number(process.env.PORT), host: "0.0.0.0" });
}
main();
