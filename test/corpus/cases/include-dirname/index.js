const fs = require("fs");
const path = require("path");
const page = fs.readFileSync(path.join(__dirname, "index.html"), "utf8");
module.exports = (req, res) => res.setHeader("content-type", "text/html").end(page);
