export const handler = async (event: { body: string; isBase64Encoded: boolean }) => ({
  statusCode: 200,
  headers: { "content-type": "application/octet-stream" },
  isBase64Encoded: true,
  body: Buffer.concat([Buffer.from(event.body, event.isBase64Encoded ? "base64" : "utf8"), Buffer.from("+")]).toString("base64"),
});
