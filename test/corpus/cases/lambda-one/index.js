exports.handler = async (event) => ({
  statusCode: 200,
  multiValueHeaders: { "X-Many": ["1", "2"] },
  body: JSON.stringify({
    version: event.version, path: event.path, method: event.httpMethod, first: event.queryStringParameters, all: event.multiValueQueryStringParameters,
    header: event.multiValueHeaders["x-two"], last: event.headers["x-two"], resource: event.resource, parameters: event.pathParameters, body: event.body,
  }),
});
