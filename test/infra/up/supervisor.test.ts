import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { UpError } from "../../../infra/up/failure.ts";
import { ProcessRecord } from "../../../infra/up/leftovers.ts";
import { identify } from "../../../infra/up/process-id.ts";
import { serviceProgram } from "../../../infra/up/service-program.ts";
import { type Program, Supervisor, type SupervisorHooks } from "../../../infra/up/supervisor.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const CHILD = new URL("../fixtures/service-child.ts", import.meta.url).pathname;
const NEVER = new AbortController().signal;

/** The gateway's own way to start and to be ready, over a script of the test's. */
function program(behaviour: string): Program {
  const own = serviceProgram({ name: "child", main: "unused", env: () => ({}) });
  return {
    ...own,
    spawn: () =>
      spawn(process.execPath, [CHILD, behaviour], { detached: true, stdio: ["ignore", "pipe", "ignore", "ipc"] }),
  };
}

function supervise(
  t: TestContext,
  what: Program,
  backoffMs?: () => number,
  hangLimitMs = 0,
  more: Partial<SupervisorHooks> = {},
) {
  const events = new EventEmitter();
  const notes: string[] = [];
  const supervisor = new Supervisor(what, {
    record: new ProcessRecord(join(tempDir(), "processes.json")),
    note: (text) => {
      notes.push(text);
      if (text.endsWith("is back")) events.emit("back");
    },
    gaveUp: (error) => events.emit("gave-up", error),
    hangLimitMs,
    ...(backoffMs && { backoffMs }),
    ...more,
  });
  t.after(() => supervisor.stop({ graceMs: 1_000, hurry: NEVER }));
  return { supervisor, events, notes };
}

test("what is killed is started again, each time", async (t) => {
  const { supervisor, events, notes } = supervise(t, program("normal"));
  await supervisor.start();
  for (let round = 0; round < 3; round += 1) {
    const before = supervisor.pid as number;
    const back = once(events, "back");
    process.kill(before, "SIGKILL");
    await back;
    assert.notEqual(supervisor.pid, before);
    assert.ok(identify(supervisor.pid as number));
  }
  assert.equal(notes[0], "the child ended with SIGKILL; starting it again");
});

test("what hangs is killed and started again, and the one line says what it did", async (t) => {
  // A machine that is busy beside this test charges a spinning process less than a second for each.
  const spinning = supervise(t, program("spins"), undefined, 2_000);
  const stopped = supervise(t, program("normal"), undefined, 3_000);
  await Promise.all([spinning.supervisor.start(), stopped.supervisor.start()]);
  const pids = [spinning, stopped].map(({ supervisor }) => supervisor.pid as number);
  process.kill(pids[1] as number, "SIGSTOP");
  await Promise.all([once(spinning.events, "back"), once(stopped.events, "back")]);
  for (const pid of pids) assert.equal(identify(pid), null);
  const words = (why: string) =>
    new RegExp(
      `^the child ended with SIGKILL because it hung: no sign of life for \\d+ s, while ${why}; starting it again$`,
    );
  assert.match(String(spinning.notes[0]), words("its main thread ran without end"));
  assert.match(String(stopped.notes[0]), words("its main thread was stopped by a signal"));
  const successor = stopped.supervisor.pid as number;
  await once(spinning.events, "back");
  assert.equal(stopped.supervisor.pid, successor, "what gives signs of life was killed");
});

test("stop drains, and then nothing is started again", async (t) => {
  const { supervisor, notes } = supervise(t, program("normal"));
  await supervisor.start();
  const pid = supervisor.pid as number;
  await supervisor.stop({ graceMs: 60_000, hurry: NEVER });
  assert.equal(identify(pid), null);
  assert.equal(supervisor.pid, null);
  assert.deepEqual(notes, []);
});

test("in a hurry, what drains for ever is told to stop", async (t) => {
  const what = program("drains-forever");
  let output = Readable.from([]);
  const spawnAndListen = () => {
    const child = what.spawn();
    output = child.stdout as Readable;
    return child;
  };
  const { supervisor } = supervise(t, { ...what, spawn: spawnAndListen });
  await supervisor.start();
  const pid = supervisor.pid as number;
  const hurry = new AbortController();
  const stopped = supervisor.stop({ graceMs: 600_000, hurry: hurry.signal });
  assert.equal(String((await once(output, "data"))[0]), "drain\n");
  hurry.abort();
  assert.equal(String((await once(output, "data"))[0]), "stop\n");
  await stopped;
  assert.equal(identify(pid), null);
});

test("what cannot start the first time is tried again, and then is an error that says why", async (t) => {
  const { supervisor, notes } = supervise(t, program("fails"), () => 0);
  await assert.rejects(supervisor.start(), (error: unknown) => {
    return error instanceof UpError && error.message === "the child could not start: no such thing";
  });
  const note = "the child could not start: no such thing; trying again";
  assert.deepEqual(notes, [note, note]);
  assert.equal(supervisor.pid, null);
});

test("what says that it cannot run here is not tried again", async (t) => {
  const { supervisor, notes } = supervise(t, program("unfit"), () => 0);
  await assert.rejects(supervisor.start(), (error: unknown) => {
    return error instanceof UpError && /^the child could not start: (no room here|it says that)/.test(error.message);
  });
  assert.deepEqual(notes, []);
});

const IDLE_TWO_SECONDS = { startLimits: { idleMs: 2_000, wholeMs: 900_000 } };

test("a start that takes long is waited for while it is at work", async (t) => {
  const { supervisor, notes } = supervise(t, program("slow-start"), undefined, 0, IDLE_TWO_SECONDS);
  await supervisor.start();
  assert.ok(identify(supervisor.pid as number));
  assert.deepEqual(notes, []);
});

test("a start that does nothing is ended and tried again, and then is an error", async (t) => {
  const { supervisor, notes } = supervise(t, program("never-ready"), () => 0, 0, IDLE_TWO_SECONDS);
  const why = "the child could not start: it was not ready, and had done nothing for 2 s";
  await assert.rejects(supervisor.start(), { message: why });
  assert.deepEqual(notes, [`${why}; trying again`, `${why}; trying again`]);
});

test("a start that is at work without end is an error in the end", async (t) => {
  const startLimits = { idleMs: 600_000, wholeMs: 1_000 };
  const { supervisor } = supervise(t, program("slow-start"), () => 0, 0, { startLimits });
  await assert.rejects(supervisor.start(), /not ready after 1 s, although it was at work/);
});

test("a program that does not exist is an error too", async (t) => {
  const missing = { ...program("normal"), spawn: () => spawn("/nonexistent/program", [], { stdio: "ignore" }) };
  await assert.rejects(supervise(t, missing).supervisor.start(), /could not start: spawn .*ENOENT/);
});

test("a crash loop ends in an error", async (t) => {
  // All of it is within a minute, whatever a start takes here.
  t.mock.method(performance, "now", () => 0);
  const { supervisor, events } = supervise(t, program("crashes"), () => 0);
  const gaveUp = once(events, "gave-up");
  await supervisor.start();
  const [error] = await gaveUp;
  assert.match(error.message, /the child ended 13 times within a minute, the last time with exit code 3/);
});
