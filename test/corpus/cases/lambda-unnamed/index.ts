export default async ({ queryStringParameters, rawPath }) => ({ statusCode: 200, body: rawPath + " " + queryStringParameters.b });
