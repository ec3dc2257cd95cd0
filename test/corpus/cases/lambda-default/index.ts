export default async (event) => ({ statusCode: 200, body: event.rawQueryString });
