import { createServer } from "node:http";
export default createServer((req, res) => { res.statusCode = 202; res.end("served " + req.url); });
