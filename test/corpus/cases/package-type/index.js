import { bird } from "#birds";
export const handler = async () => ({ statusCode: 200, body: bird });
