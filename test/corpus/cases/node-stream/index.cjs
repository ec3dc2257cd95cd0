const http = require("http");
exports.default = undefined;
module.exports = function (req, res) {
  res.writeHead(200, { "content-type": "text/plain", "x-status": http.STATUS_CODES[200] });
  req.on("data", (chunk) => res.write(String(chunk).toUpperCase()));
  req.on("end", () => res.end("!"));
};
