export default async function handler(req, res) {
  res.setHeader("x-method", req.method);
  return res.status(201).json({ q: req.query.q, body: req.body, cookie: req.cookies.seen });
}
