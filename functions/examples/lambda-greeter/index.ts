/** A Lambda handler: it takes an API Gateway event (format 2.0) and returns a result with cookies. */
interface HttpEvent {
  rawPath: string;
  queryStringParameters?: Record<string, string>;
  body?: string;
  isBase64Encoded: boolean;
  requestContext: { http: { method: string } };
}

interface LambdaContext {
  functionName: string;
  getRemainingTimeInMillis(): number;
}

export const handler = async (event: HttpEvent, context: LambdaContext) => {
  const encoding = event.isBase64Encoded ? "base64" : "utf8";
  const body = event.body === undefined ? "" : Buffer.from(event.body, encoding).toString();
  const name = body || event.queryStringParameters?.name || "world";
  console.log(`${event.requestContext.http.method} ${event.rawPath}, ${context.getRemainingTimeInMillis()} ms left`);
  return {
    statusCode: 200,
    headers: { "content-type": "application/json" },
    cookies: [`greeted=${encodeURIComponent(name)}; Path=/`, "polite=yes; Path=/"],
    body: JSON.stringify({ message: `${process.env.GREETING}, ${name}!`, functionName: context.functionName }),
  };
};
