import { createServer } from "node:http";
createServer((q,r)=>r.end("hi")).listen(process.env.PORT||3000)
