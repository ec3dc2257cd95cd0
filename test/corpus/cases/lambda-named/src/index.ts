export const create = async () => ({ statusCode: 201, body: "created" });
export const list = async () => ({ statusCode: 200, body: "listed" });
