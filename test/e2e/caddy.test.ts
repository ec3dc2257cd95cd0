/** The short form of `npm run test:domains`, where Caddy is installed. */
import { after, before, describe, it } from "node:test";
import { findCaddy } from "../domains/caddy.ts";
import { CASES, Setup } from "../domains/cases.ts";

const program = findCaddy(process.env.PATH ?? "");

describe("a gateway behind Caddy", { skip: program === null && "caddy is not installed" }, () => {
  let setup: Setup;
  before(async () => {
    setup = await Setup.start(program ?? "");
  });
  after(() => setup[Symbol.asyncDispose]());

  for (const { name, check } of CASES) it(name, () => check(setup));
});
