/**
 * `npm run test:moves -- [--moves N] [--callers N]`: 1,000 deployments and rollbacks of one
 * function while 50 callers call it, on a platform of its own processes: gateway, worker, Redis.
 *
 * No call may fail, and each answer must be of a version that was live while it was called. Shows
 * what the processes hold before, meanwhile and after. Then a canary of whose calls a fifth fails
 * must be taken back by itself within its window.
 */
import { parseArgs } from "node:util";
import { Platform } from "../helpers/platform.ts";
import { failingCanary } from "./canary.ts";
import { held } from "./held.ts";
import { type MovedFunction, moveUnderCalls } from "./moves.ts";

const NAME = "moved";
/** Moves between two lines of the report. */
const TOLD_EVERY = 50;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A module that answers with its number. */
function moduleOf(number: number): string {
  return `export default () => new Response(${JSON.stringify(String(number))});`;
}

/** A function of the platform, moved over its control API. */
function movedOn(platform: Platform): MovedFunction {
  const ask = async (method: string, path: string, body: unknown) => {
    const init = { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const response = await platform.api(`/v1/functions/${NAME}${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text;
  };
  const call = async () => {
    const response = await fetch(`${platform.url}/fn/main/${NAME}`);
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${text}`);
    return text;
  };
  return {
    call,
    async deploy(number) {
      const contentBase64 = Buffer.from(moduleOf(number)).toString("base64");
      const files = [{ path: "index.ts", contentBase64 }];
      await ask("PUT", "", { config: { name: NAME }, entry: "index.ts", files });
      return String(number);
    },
    async rollback() {
      await ask("POST", "/rollback", {});
      // Each deployment is followed by a rollback, so what was live before is the first one.
      return "0";
    },
  };
}

const { values } = parseArgs({
  options: { moves: { type: "string", default: "1000" }, callers: { type: "string", default: "50" } },
});
const [moves, callers] = [Number(values.moves), Number(values.callers)];
const platform = await Platform.start({ env: { SANDPIPER_GC_INTERVAL_MS: "0" } });
try {
  const its = movedOn(platform);
  await its.deploy(0);
  await its.call();
  say(`before: ${await held(platform)}`);
  const startMs = performance.now();
  const seconds = () => ((performance.now() - startMs) / 1_000).toFixed(0);
  const result = await moveUnderCalls(its, {
    moves,
    callers,
    async onMove({ moves, calls, failures }) {
      if (moves % TOLD_EVERY > 0) return;
      say(`${seconds()} s: ${moves} moves, ${calls} calls, ${failures.length} failed; ${await held(platform)}`);
    },
  });
  say(`after ${seconds()} s: ${await held(platform)}`);
  const { calls, failures, wrong, versions } = result;
  say(`${moves} moves, ${calls} calls of ${versions} versions, ${failures.length} failed, ${wrong.length} wrong`);
  for (const text of [...new Set(failures)].slice(0, 10)) say(`failed: ${text}`);
  for (const one of wrong.slice(0, 10)) say(`wrong: ${JSON.stringify(one)}`);
  const { isTakenBack, said } = await failingCanary(platform);
  say(`a canary that fails by a fifth: ${said}`);
  process.exitCode = failures.length + wrong.length === 0 && versions > 1 && isTakenBack ? 0 : 1;
} finally {
  await platform.stop();
}
