/**
 * Functions in the manner of each platform, deployed by the command line as they are, and called:
 * the directories of `cases/`.
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request as sendRequest } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { type CommandResult, runCommand } from "../helpers/in-process-cli.ts";
import { Platform } from "../helpers/platform.ts";
import { type Case, type CaseCall, copyFiles, readCases } from "./case.ts";

/** Cases at once: a deployment waits for a worker most of its time. */
const CONCURRENCY = 4;

let platform: Platform;
before(async () => {
  platform = await Platform.start();
  mkdirSync(join(platform.dataDir, "cases"));
});
after(() => platform.stop());

describe("a function", { concurrency: CONCURRENCY }, () => {
  for (const one of readCases()) {
    it(`${one.name}: ${one.about}`, { skip: one.needs === undefined ? false : `needs ${one.needs}` }, () => check(one));
  }
});

async function check(one: Case): Promise<void> {
  const directory = join(platform.dataDir, "cases", one.name);
  copyFiles(one, directory);
  const { code, stdout, stderr } = await command(["deploy", directory]);
  assert.equal(code, one.refused?.exit ?? 0, stderr);
  for (const said of [...(one.refused?.includes ?? []), ...(one.warns ?? [])]) {
    assert.ok(stderr.includes(said), `deploy does not say ${JSON.stringify(said)}:\n${stderr}`);
  }
  for (const call of one.calls ?? []) {
    if ("event" in call) await checkEvent(one, call, directory);
    else await checkRequest(stdout.trim().replace(/\/$/, ""), call);
  }
}

function command(args: string[]): Promise<CommandResult> {
  return runCommand(args, {
    cwd: platform.dataDir,
    env: { SANDPIPER_URL: platform.url, SANDPIPER_API_KEY: platform.apiKey },
  });
}

async function checkEvent({ name }: Case, call: CaseCall, directory: string): Promise<void> {
  const file = join(directory, "event.json");
  writeFileSync(file, JSON.stringify(call.event));
  const { code, stdout, stderr } = await command(["invoke", name, "--event", file]);
  assert.equal(code, call.exit ?? 0, stderr);
  if (code === 0) checkBody(call, stdout, "invoke --event");
  else assert.partialDeepStrictEqual(JSON.parse(stdout), call.json);
}

async function checkRequest(url: string, call: CaseCall): Promise<void> {
  const { path = "/", status = 200, replyHeaders = {} } = call;
  const what = `${call.method ?? "GET"} ${path}`;
  const answer = await send(`${url}${path}`, call);
  const body = await text(answer);
  assert.equal(answer.statusCode, status, `${what}: ${body}`);
  checkBody(call, body, what);
  for (const [name, value] of Object.entries(replyHeaders)) assert.equal(String(answer.headers[name]), value, what);
}

function checkBody(call: CaseCall, body: string, what: string): void {
  if (call.text !== undefined) assert.equal(body, call.text, what);
  if ("json" in call) assert.deepEqual(JSON.parse(body), call.json, what);
  if (call.includes !== undefined) assert.ok(body.includes(call.includes), `${what}: ${body}`);
}

/** Sends a call as it is. A host below "localhost" is this machine, whoever looks up names. */
function send(url: string, { method = "GET", headers = {}, body }: CaseCall): Promise<IncomingMessage> {
  const { hostname, host } = new URL(url);
  return new Promise((resolve, reject) => {
    const local = hostname.endsWith(".localhost") ? { hostname: "127.0.0.1" } : {};
    const outgoing = sendRequest(url, { ...local, method, agent: false, headers: { host, ...headers } }, resolve);
    outgoing.on("error", reject).end(body);
  });
}
