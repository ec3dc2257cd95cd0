/** `node spawning.mjs PORT`: a server that starts a new Node for each call, as CGI did. */
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { HELLO } from "./payloads.mjs";

const argv = ["-e", `process.stdout.write(${JSON.stringify(HELLO)})`];

createServer((_request, response) => {
  const child = spawn(process.execPath, argv, { env: {}, stdio: ["ignore", "pipe", "ignore"] });
  child.stdout.pipe(response);
}).listen(Number(process.argv[2]), "127.0.0.1");
