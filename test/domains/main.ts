/**
 * `npm run test:domains -- [--cache DIRECTORY] [--list] [NAME...]`: a gateway behind Caddy, by the
 * Caddyfile of docs/DEPLOYMENT.md. Caddy is the one that is installed, or Debian's package.
 */
import { runLongForm, say } from "../helpers/long-form.ts";
import { fetchCaddy, findCaddy } from "./caddy.ts";
import { CASES, type DomainCase, Setup } from "./cases.ts";

async function runAll(cases: readonly DomainCase[], cache: string): Promise<number> {
  const program = findCaddy(process.env.PATH ?? "", cache) ?? (await fetchCaddy(cache));
  await using setup = await Setup.start(program);
  let failed = 0;
  for (const { name, check } of cases) {
    const error = await check(setup).then(
      () => null,
      (cause: Error) => cause,
    );
    failed += error === null ? 0 : 1;
    say(error === null ? `✔ ${name}\n` : `✖ ${name}\n  ${error.message}\n`);
  }
  say(`${cases.length - failed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

await runLongForm({ script: "test:domains", cacheName: "domains", cases: CASES, noun: "case" }, runAll);
