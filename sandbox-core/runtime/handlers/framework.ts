/**
 * The module `@google-cloud/functions-framework`, by which functions register themselves:
 * https://github.com/GoogleCloudPlatform/functions-framework-nodejs
 *
 * The package keeps what is registered to itself and its server, so the platform stands in for it.
 */
import type { IncomingMessage } from "node:http";
import type { HandlerKind } from "../../protocol/frames.ts";
import { provideModule } from "../builtins.ts";
import { describeValue } from "../describe.ts";
import { cloudEventHandler } from "./cloudevent-handler.ts";
import type { Handler } from "./handler.ts";
import { type NodeFunction, nodeHandler } from "./node/node.ts";
import { inWords, wordsFor } from "./words.ts";

/** Functions that registered themselves, as handlers with their names. */
export type RegisteredFunctions = ReadonlyMap<string, Handler>;

/** Names that the framework takes. */
const NAME = /^[A-Za-z](?:[-_A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;

/** Lets functions import the module, and gives what they register with it. */
export function provideFramework(): RegisteredFunctions {
  const registered = new Map<string, Handler>();
  const registrar = (kind: HandlerKind, make: (handler: never) => Handler) => (name: unknown, handler: unknown) => {
    if (typeof name !== "string" || !NAME.test(name)) throw new Error(`Invalid function name: ${describeValue(name)}`);
    if (typeof handler !== "function") {
      throw new TypeError(`The function ${name} needs a handler, and got ${describeValue(handler)}.`);
    }
    registered.set(name, inWords(make(handler as never), wordsFor(kind, name)));
  };
  provideModule("@google-cloud/functions-framework", () => ({
    http: registrar("node", (handler) => nodeHandler(withBody(handler), { wholeBody: true })),
    cloudEvent: registrar("cloudevent", cloudEventHandler),
  }));
  return registered;
}

/** The function, whose `req.body` is there always, as the framework's is. */
function withBody(handler: NodeFunction): NodeFunction {
  return (req, res) => {
    const request = req as IncomingMessage & { body?: unknown; rawBody?: Buffer };
    if (request.body === undefined) request.body = request.rawBody ?? {};
    return handler(req, res);
  };
}
