const crypto = require("crypto");
const { join } = require("node:path");
const util = require("util");
exports.handler = async () => {
  const { gzipSync } = await import("zlib");
  const hash = crypto.createHash("sha256").update("a").digest("hex").slice(0, 8);
  return { statusCode: 200, body: [hash, join("a", "b"), util.types.isDate(new Date()), gzipSync("a").length > 0].join(" ") };
};
