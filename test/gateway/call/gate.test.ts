/** Calls while workers have no room, while there is none, and when there is again. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { beat } from "../../../functions/store/workers.ts";
import { CancellationReceiver } from "../../../functions/transport/cancellations.ts";
import { GatewayMetrics } from "../../../gateway/metrics.ts";
import { eventually } from "../../helpers/eventually.ts";
import { head, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { stretched } from "../../helpers/slowness.ts";

/** More calls than may always wait. */
const MANY = 300;
const QUEUE_WAIT_MS = stretched(2_000);
const LONG_MS = stretched(30_000);
/** A gateway has no reason to look at the queue while calls take less. */
const SOON_MS = 200;

let test: TestGateway;
/** Ids of the calls that ran, in order. */
const ran: string[] = [];
let beats: NodeJS.Timeout;
let receiver: CancellationReceiver;
let metrics: GatewayMetrics;
beforeEach(() => open(QUEUE_WAIT_MS));
afterEach(close);

async function open(queueWaitMs: number): Promise<void> {
  ran.splice(0);
  metrics = new GatewayMetrics(0);
  test = await startTestGateway({ queueWaitMs }, { metrics });
  test.answer = ({ id, request }) => {
    ran.push(request.path);
    return head(id, { body: Buffer.from("ran") });
  };
  live();
}

async function close(): Promise<void> {
  die();
  await test.stop();
}

/** How many calls wait for their answer. */
async function waiting(): Promise<number> {
  const text = await metrics.registry.metrics();
  return Number(/^sandpiper_gateway_waiting_calls (\d+)$/m.exec(text)?.[1]);
}

/** The test's worker is alive, as gateways see it. */
function live(): void {
  receiver = new CancellationReceiver(test.connection, () => {});
  const info = { id: "w", host: "h", pid: 1, startedAtMs: 1, running: 0, room: 1 };
  const tell = () => void beat(test.connection, { ...info, posture: { launcher: "fork", degraded: [] } });
  beats = setInterval(tell, 500);
  tell();
}

function die(): void {
  receiver.close();
  clearInterval(beats);
}

function setSlots(slots: number): void {
  test.slots = slots;
  test.worker.slotsChanged();
}

interface Heard {
  status: number;
  code: string | undefined;
  message: string;
  retryAfter: string | null;
}

async function call(path: string): Promise<Heard> {
  const response = await fetch(`${test.url}/fn/main/hello/${path}`);
  const text = await response.text();
  const { error } = text === "ran" ? {} : JSON.parse(text);
  const retryAfter = response.headers.get("retry-after");
  return { status: response.status, code: error?.code, message: error?.message ?? "", retryAfter };
}

/** Jobs that wait, or that a worker has which looks for room in a moment. */
async function jobs(): Promise<number> {
  const { connection } = test;
  const [[, waiting], [, active]] = (await connection
    .multi()
    .llen("sp:queue:calls:wait")
    .llen("sp:queue:calls:active")
    .exec()) as [[null, number], [null, number]];
  return waiting + active;
}

/** Resolves when there is no job although no worker has room: the gateway has taken them back. */
async function takenBack(): Promise<void> {
  await eventually(async () => (await jobs()) > 0);
  await eventually(async () => (await jobs()) === 0);
}

const pathsOf = (count: number, name: string) => Array.from({ length: count }, (_, index) => `${name}${index}`);

describe("while workers have no room", () => {
  it("the gateway keeps the calls, and each runs once when there is", async () => {
    setSlots(0);
    const early = pathsOf(5, "early").map(call);
    await takenBack();
    const late = pathsOf(5, "late").map(call);
    await eventually(async () => (await jobs()) === 0);
    assert.deepEqual(ran, []);
    setSlots(100);
    for (const { status } of await Promise.all([...early, ...late])) assert.equal(status, 200);
    const paths = [...pathsOf(5, "early"), ...pathsOf(5, "late")];
    assert.deepEqual(ran.toSorted(), paths.map((path) => `/${path}`).toSorted());
  });

  it("more calls than can be served in time are refused at once, unrun, with retry-after", async () => {
    setSlots(0);
    const first = call("first");
    await takenBack();
    const calls = pathsOf(MANY, "many").map(call);
    const refused = await Promise.any(calls);
    assert.deepEqual([refused.status, refused.code, refused.retryAfter], [503, "OVERLOADED", "2"]);
    assert.match(refused.message, /did not run/);
    setSlots(100);
    const heard = await Promise.all([first, ...calls]);
    assert.equal(heard.filter(({ status }) => status === 200).length, ran.length);
    assert.ok(heard.every(({ status, code }) => status === 200 || code === "OVERLOADED"));
  });

  it("a function that is called too much has its own calls refused, and no other's", async () => {
    await close();
    await open(LONG_MS);
    await test.deploy("calm");
    setSlots(0);
    const first = call("first");
    await takenBack();
    let refused = 0;
    const flood = pathsOf(MANY, "flood").map(async (path) => {
      const { code } = await call(path);
      if (code === "OVERLOADED") refused++;
    });
    await eventually(async () => refused > 0 && refused + (await waiting()) === MANY + 1);
    const before = await waiting();
    const calm = fetch(`${test.url}/fn/main/calm/calm`).then(({ status }) => status);
    await Promise.race([calm, eventually(async () => (await waiting()) === before + 1)]);
    setSlots(100);
    assert.equal(await calm, 200);
    // The queue held 48 calls of the other function, and of those that wait here one goes before
    // it.
    assert.ok(ran.indexOf("/calm") < 80, `${ran.indexOf("/calm")} calls ran before`);
    await Promise.all([first, ...flood]);
  });

  it("a call whose time is over hears so, and does not run; nor does one whose client left", async () => {
    setSlots(0);
    const leaving = new AbortController();
    const left = fetch(`${test.url}/fn/main/hello/left`, { signal: leaving.signal });
    const over = call("over");
    await takenBack();
    leaving.abort();
    await assert.rejects(left);
    const { status, code, message } = await over;
    assert.deepEqual([status, code], [503, "EXPIRED"]);
    assert.match(message, /did not run/);
    setSlots(100);
    assert.equal((await call("next")).status, 200);
    assert.deepEqual(ran, ["/next"]);
  });
});

describe("while there is no worker", () => {
  it("callers hear so, and the calls do not run when there is one again", async () => {
    setSlots(0);
    die();
    const heard = await Promise.all(pathsOf(5, "unlucky").map(call));
    for (const { status, code, message, retryAfter } of heard) {
      assert.deepEqual([status, code, retryAfter], [503, "NO_WORKER", "2"]);
      assert.match(message, /did not run/);
    }
    assert.equal((await call("at once")).code, "NO_WORKER");
    live();
    setSlots(100);
    while ((await call("lucky")).status !== 200);
    assert.deepEqual(ran, ["/lucky"]);
  });
});

describe("while calls are answered", () => {
  it("nothing is asked of the queue", async () => {
    let slowestMs: number;
    do {
      await test.connection.config("RESETSTAT");
      slowestMs = await slowestOf(pathsOf(50, "soon"));
    } while (slowestMs > SOON_MS);
    assert.equal(await isQueueLookedAt(), false);
  });

  it("nor when workers have room again, although calls come all the time", async () => {
    setSlots(0);
    const first = call("first");
    await takenBack();
    setSlots(100);
    let isOver = false;
    const callers = pathsOf(8, "caller").map(async (path) => {
      while (!isOver) await call(path);
    });
    await first;
    // A call that waits at the gateway for its turn goes when the gateway has looked.
    await eventually(async () => {
      await test.connection.config("RESETSTAT");
      await slowestOf(pathsOf(20, "more"));
      return !(await isQueueLookedAt());
    });
    isOver = true;
    await Promise.all(callers);
  });
});

async function isQueueLookedAt(): Promise<boolean> {
  return /cmdstat_(?:lpos|lindex)/.test(await test.connection.info("commandstats"));
}

/** Makes calls one after the other. */
async function slowestOf(paths: string[]): Promise<number> {
  let slowestMs = 0;
  for (const path of paths) {
    const beganAtMs = performance.now();
    assert.equal((await call(path)).status, 200);
    slowestMs = Math.max(slowestMs, performance.now() - beganAtMs);
  }
  return slowestMs;
}
