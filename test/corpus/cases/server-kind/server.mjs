import http from "node:http";
export const unused = () => "not called";
http.createServer((req, res) => res.end("own port")).listen(4321);
