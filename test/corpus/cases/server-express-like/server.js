const http = require("http");
const app = (req, res) => res.writeHead(200, { "x-app": "listens" }).end(req.method + " " + req.url);
app.listen = (port, done) => http.createServer(app).listen(port, done);
app.listen(process.env.PORT || 8080, () => console.log("listening"));
