/** The part of an API Gateway event, format 2.0, that this function reads. */
interface HttpEvent {
  rawPath: string;
  queryStringParameters?: Record<string, string>;
  requestContext: { http: { method: string } };
}

export const handler = async (event: HttpEvent) => {
  const name = event.queryStringParameters?.name ?? "world";
  console.log(`${event.requestContext.http.method} ${event.rawPath} for ${name}`);
  return {
    statusCode: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message: `${process.env.GREETING}, ${name}!` }),
  };
};

// Lambda's environment is in process.env; this saves the function a dependency on Node's types.
// `Env` is in sandpiper-env.d.ts, which `sandpiper types` writes from "env" in sandpiper.jsonc.
declare const process: { env: Env };
