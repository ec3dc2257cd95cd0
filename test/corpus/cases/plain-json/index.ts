export default (request: Request) => (request.method === "GET" ? { a: [1, null] } : ["list"]);
