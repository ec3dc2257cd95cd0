import assert from "node:assert/strict";
import { it } from "node:test";
import { type LogRecord, MAX_CONNECTION_RECORDS } from "../../../functions/model/record.ts";
import type { EgressEvent } from "../../../sandbox-core/index.ts";
import { CallLog } from "../../../worker/outcome/call-log.ts";
import { EgressReport } from "../../../worker/outcome/egress-report.ts";

const OPENED: EgressEvent = {
  ...{ kind: "opened", id: 1, call: "a", atMs: 1_000, name: "api.example.com", port: 443, address: "203.0.113.7" },
  ...{ bytesUp: 0, bytesDown: 0, durationMs: 20, verdict: "ok" },
};
const CLOSED: EgressEvent = { ...OPENED, kind: "closed", atMs: 1_500, bytesUp: 7, bytesDown: 9, durationMs: 500 };
const refused = (name: string, more: Partial<EgressEvent> = {}): EgressEvent => ({
  ...{ ...OPENED, kind: "refused", id: 9, name, port: 0, address: null, verdict: "undeclared_name", ...more },
});

function reporting() {
  const records: LogRecord[] = [];
  const log = new CallLog("a", (more) => void records.push(...more));
  const spans: { name: string; startMs: number; endMs: number; attributes: Record<string, unknown> }[] = [];
  const report = new EgressReport("acme", log, (name, startMs, endMs, attributes) => {
    spans.push({ name, startMs, endMs, attributes });
  });
  const lines = () => {
    log.flush();
    return records.map(({ text }) => text);
  };
  return { report, spans, lines };
}

it("makes a span of each connection when it ends, with what it carried", () => {
  const { report, spans, lines } = reporting();
  report.hear(OPENED);
  assert.deepEqual(spans, []);
  report.hear(CLOSED);
  const attributes = {
    ...{ "sandpiper.egress.host": "api.example.com", "network.peer.port": 443, "network.peer.address": "203.0.113.7" },
    ...{ "sandpiper.egress.bytes_up": 7, "sandpiper.egress.bytes_down": 9, "sandpiper.egress.verdict": "ok" },
  };
  assert.deepEqual(spans, [{ name: "egress api.example.com", startMs: 1_000, endMs: 1_500, attributes }]);
  assert.deepEqual(lines(), []);
});

it("tells of a connection that the call leaves open, and of its end no more", async () => {
  const { report, spans } = reporting();
  report.hear(OPENED);
  report.end(Promise.resolve());
  assert.equal((await report.account())?.connections[0]?.verdict, "kept");
  assert.equal(spans[0]?.attributes["sandpiper.egress.verdict"], "kept");
  report.hear(CLOSED);
  assert.equal(spans.length, 1);
});

it("tells what a connection has carried that stays open, once word of it comes", async () => {
  const { report, spans } = reporting();
  const told = Promise.withResolvers<void>();
  report.hear(OPENED);
  report.end(told.promise);
  const account = report.account();
  report.hear({ ...CLOSED, kind: "kept", verdict: "ok" });
  told.resolve();
  const record = { host: "api.example.com", port: 443, address: "203.0.113.7", startedAtMs: 1_000, durationMs: 500 };
  assert.deepEqual(await account, {
    connections: [{ ...record, bytesUp: 7, bytesDown: 9, verdict: "kept" }],
    more: 0,
  });
  report.hear({ ...CLOSED, atMs: 9_000 });
  assert.equal(spans.length, 1);
  const { attributes = {}, startMs, endMs } = spans[0] ?? {};
  assert.deepEqual([startMs, endMs, attributes["sandpiper.egress.verdict"]], [1_000, 1_500, "kept"]);
  assert.deepEqual([attributes["sandpiper.egress.bytes_up"], attributes["sandpiper.egress.bytes_down"]], [7, 9]);
});

it("gives so many connections for the record, by their beginning, and counts the others", async () => {
  const { report } = reporting();
  assert.equal(report.isOver, false);
  report.hear(CLOSED);
  report.hear(refused("a.com", { atMs: 900, durationMs: 0 }));
  for (let i = 0; i < 30; i++) report.hear(refused(`n${i}.com`, { atMs: 2_000 + i, durationMs: 0 }));
  report.hear(refused("last.com", { untold: 7 }));
  report.end(Promise.resolve());
  assert.equal(report.isOver, true);
  const { connections = [], more } = (await report.account()) ?? {};
  assert.equal(connections.length, MAX_CONNECTION_RECORDS);
  assert.equal(more, 33 - MAX_CONNECTION_RECORDS + 7);
  assert.deepEqual(connections[0], {
    ...{ host: "a.com", bytesUp: 0, bytesDown: 0, startedAtMs: 900, durationMs: 0, verdict: "undeclared_name" },
  });
  assert.equal(connections[1]?.verdict, "ok");
  const { report: idle } = reporting();
  idle.end(Promise.resolve());
  assert.equal(await idle.account(), undefined);
});

it("says of each host once what to declare, and says no more of very many", () => {
  const { report, lines } = reporting();
  for (const _ of [1, 2]) report.hear(refused("a.com"));
  report.hear(refused("b.com", { port: 443, verdict: "undeclared_port" }));
  assert.deepEqual(lines(), [
    `a.com was not reached (undeclared_name). It is not declared: add "a.com" to "egress" in sandpiper.jsonc, with its port after a ':' unless that is 443.`,
    `b.com:443 was not reached (undeclared_port). It is not declared: add "b.com" to "egress" in sandpiper.jsonc.`,
  ]);
  for (let i = 0; i < 100; i++) report.hear(refused(`n${i}.com`));
  assert.equal(lines().length, 21);
  assert.match(lines().at(-1) ?? "", /more of its connections/);
});

it("says of a private address which range it is in, and how it is granted", () => {
  const { report, lines } = reporting();
  const hear = (name: string | null, address: string) =>
    report.hear(refused(name ?? "", { name, address, port: 5_432, verdict: "private_address" }));
  hear("db.internal", "10.1.2.3");
  hear(null, "192.168.0.1");
  hear("odd.example.com", "224.0.0.1");
  hear("own.example.com", "8.8.8.8");
  const grants = (what: string) => `Whoever operates Sandpiper grants it with: sandpiper egress private acme ${what}`;
  assert.deepEqual(lines(), [
    `db.internal:5432 was not reached (private_address). Its address 10.1.2.3 is in 10.0.0.0/8, a private network, which acme is not granted. ${grants("db.internal=10.1.2.3")}`,
    `192.168.0.1:5432 was not reached (private_address). It is in 192.168.0.0/16, a private network, which acme is not granted. ${grants("192.168.0.1")}`,
    "odd.example.com:5432 was not reached (private_address). Its address 224.0.0.1 is in 224.0.0.0/4, multicast, which nobody reaches.",
    "own.example.com:5432 was not reached (private_address). Its address 8.8.8.8 is the worker's own, or no public one, which nobody reaches.",
  ]);
});

it("knows that the relay died, also when word of it comes after the failure", async () => {
  const { report, lines } = reporting();
  report.hear(OPENED);
  assert.equal(await report.relayDied("TypeError: x is not a function"), false);
  const died = report.relayDied("Error: read ECONNRESET");
  report.hear({ ...CLOSED, verdict: "relay_died" });
  assert.equal(await died, true);
  assert.match(lines().join(), /the function is not to blame/);
});
