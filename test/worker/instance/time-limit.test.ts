/** What limits a function before its first call: processor time, waiting, and neither of them. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type FunctionOptions, TestPool } from "../../helpers/pool.ts";
import { LONGEST_CALL_MS, stretched } from "../../helpers/slowness.ts";

const NEVER_MS = 3_600_000;
/** More than what comes before the function's code takes here. */
const LIMIT_MS = stretched(400);
const SPINS = "for (;;);";
const WAITS = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);";
/** Longer than what makes a template worth its cost. */
const SLOW = "for (const end = Date.now() + 150; Date.now() < end; );";
const ANSWERS = "export default () => Response.json({ id: '', calls: 1 });";

let pool: TestPool;
let versions = 0;

/** The failure of a call of this module: outcome, code and message. */
async function failureOf(code: string, options: FunctionOptions = {}): Promise<[string, string, string]> {
  const used = pool.use({ code, version: `v${++versions}`, timeoutMs: LONGEST_CALL_MS, ...options });
  const error = await used.then(
    () => assert.fail("it was loaded"),
    (reason: Error & { outcome: string; code: string }) => reason,
  );
  return [error.outcome, error.code, error.message.replace(/\d+/, "N")];
}

describe("before its first call", () => {
  before(() => {
    pool = new TestPool({ preparationLimits: { cpuMs: LIMIT_MS, waitMs: LIMIT_MS, wallMs: NEVER_MS } });
  });
  after(() => pool.close());

  it("a module that runs for ever ends by its own fault", async () => {
    const message = "The function's module was not loaded after N ms of processor time. Do less at its top level.";
    assert.deepEqual(await failureOf(`${SPINS} ${ANSWERS}`), ["timeout", "TIMEOUT", message]);
  });

  const waited = "The function's module was not loaded after N ms in which it waited and did nothing.";
  for (const [how, code] of [
    ["stands still", WAITS],
    ["awaits what never comes", "setInterval(() => {}, 60_000); await new Promise(() => {});"],
  ] as const)
    it(`a module that ${how} ends by its own fault`, async () => {
      const message = `${waited} Do less at its top level.`;
      assert.deepEqual(await failureOf(`${code} ${ANSWERS}`), ["timeout", "TIMEOUT", message]);
    });

  for (const isolation of ["instance", "invocation"] as const)
    for (const [does, code, how] of [
      ["runs for ever", SPINS, "of processor time"],
      ["stands still", WAITS, "in which it waited and did nothing"],
    ] as const)
      it(`an afterRestore that ${does} ends by its own fault, with the isolation ${isolation}`, async () => {
        const module = `${SLOW} export function afterRestore() { ${code} } ${ANSWERS}`;
        const message = `The function's afterRestore was not done after N ms ${how}. Do less in it.`;
        assert.deepEqual(await failureOf(module, { isolation }), ["timeout", "TIMEOUT", message]);
      });

  it("a function has limits that its calls do not have", async () => {
    const code = `
      const ran = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1_000; };
      export default () => {
        for (const end = ran() + ${1.2 * LIMIT_MS}; ran() < end; );
        return Response.json({ id: "", calls: 1 });
      };`;
    assert.equal((await pool.use({ code, timeoutMs: LONGEST_CALL_MS })).calls, 1);
  });
});

describe("on a machine that does not let it get on", () => {
  before(() => {
    pool = new TestPool({ preparationLimits: { cpuMs: NEVER_MS, waitMs: NEVER_MS, wallMs: LIMIT_MS } });
  });
  after(() => pool.close());

  it("a module that is not loaded in time is no fault of the function", async () => {
    const message =
      "The function's module was not loaded within N ms, as this machine is too busy to run it. Call again.";
    assert.deepEqual(await failureOf(`${SPINS} ${ANSWERS}`), ["platform_error", "MACHINE_BUSY", message]);
  });
});
