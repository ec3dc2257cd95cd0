const inside = typeof __filename === "string" && typeof __dirname === "string" && this === exports;
module.exports = { handler: async () => ({ statusCode: 200, body: inside + " " + (require.main === module) }) };
