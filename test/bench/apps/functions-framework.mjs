/** For Google's functions-framework, which hands every path to one function. */
import { BINARY, HELLO, ITEMS } from "./payloads.mjs";

const binary = Buffer.from(BINARY);

export const handler = (request, response) => {
  if (request.path === "/json") response.json(ITEMS);
  else if (request.path === "/binary") response.send(binary);
  else response.send(HELLO);
};
