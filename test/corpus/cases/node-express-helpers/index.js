exports.helloHttp = (req, res) => {
  res.set("Access-Control-Allow-Origin", "*");
  if (req.method === "OPTIONS") return res.status(204).send("");
  if (req.method === "DELETE") return res.sendStatus(403);
  const name = req.query.name || (req.body && req.body.name) || "World";
  res.type("text/plain").send(`Hello ${name} at ${req.path} as ${req.get("content-type")}, ${req.rawBody ? req.rawBody.length : 0} bytes`);
};
