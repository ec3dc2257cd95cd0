export const handler = async (event: any) => {
  switch (event.httpMethod) {
    case "GET":
      return { statusCode: 200, body: "got " + event.path };
    default:
      return { statusCode: 405, body: "no " + event.httpMethod };
  }
};
