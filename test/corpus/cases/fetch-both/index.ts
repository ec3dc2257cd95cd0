export const handler = async () => ({ statusCode: 200, body: "lambda" });
export default { fetch: () => new Response("fetch") };
