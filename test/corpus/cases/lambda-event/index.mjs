export const handler = async (event, context) => ({
  statusCode: 201,
  cookies: ["a=1", "b=2"],
  headers: { "X-Name": context.functionName },
  body: JSON.stringify({
    version: event.version,
    method: event.requestContext.http.method,
    path: event.rawPath,
    query: event.queryStringParameters,
    cookies: event.cookies,
    body: event.body,
    left: context.getRemainingTimeInMillis() > 0,
  }),
});
