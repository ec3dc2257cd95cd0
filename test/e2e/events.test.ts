/** `sandpiper invoke --event` against a whole Sandpiper, with the events of docs/events. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { type CommandResult, runCommand } from "../helpers/in-process-cli.ts";
import { Platform } from "../helpers/platform.ts";

const SAMPLES = resolve(import.meta.dirname, "../../docs/events");

let platform: Platform;
before(async () => {
  platform = await Platform.start();
  await platform.deployFiles("worker", LAMBDA, { timeoutMs: 2_000 });
  await platform.deployFiles("clouds", "export default (cloudEvent: { type: string }) => cloudEvent.type;");
  const listens = `require("node:http").createServer().listen("/tmp/\\u001b[2J")`;
  await platform.deployFiles("hostile", { "index.cjs": listens }, { entry: "index.cjs" });
  await platform.deployFiles("pages", "export default { fetch: () => new Response('a page') };");
});
after(() => platform.stop());

/** A handler of the events that a Lambda function may get, and of some that it cannot take. */
const LAMBDA = `
  export const handler = async (event: any, context: { awsRequestId: string }) => {
    if (event.throws) throw new RangeError(event.throws);
    if (event.sleeps) await new Promise(() => {});
    console.log("worked on", context.awsRequestId);
    const [record] = event.Records ?? [];
    if (record?.Sns) return { topic: record.Sns.TopicArn.split(":").at(-1), order: JSON.parse(record.Sns.Message).order };
    if (record?.s3) return { key: record.s3.bucket.name + "/" + decodeURIComponent(record.s3.object.key.replaceAll("+", " ")) };
    if (record?.eventSource === "aws:sqs") return { batchItemFailures: [{ itemIdentifier: record.messageId }] };
    return event["detail-type"] === "Scheduled Event" ? undefined : { order: event.detail?.order ?? null };
  };`;

/** What the functions make of the samples. */
const RESULTS: Record<string, [name: string, result: unknown]> = {
  "cloudevent.json": ["clouds", "com.example.order.placed"],
  "eventbridge.json": ["worker", { order: 17 }],
  "s3.json": ["worker", { key: "orders/2027/order 17.json" }],
  "schedule.json": ["worker", null],
  "sns.json": ["worker", { topic: "orders", order: 17 }],
  "sqs.json": ["worker", { batchItemFailures: [{ itemIdentifier: "059f36b4-87a3-44ab-83d2-661975830a7d" }] }],
};

function invoke(args: string[], input?: string): Promise<CommandResult> {
  return runCommand(["invoke", ...args], {
    cwd: platform.dataDir,
    env: { SANDPIPER_URL: platform.url, SANDPIPER_API_KEY: platform.apiKey },
    ...(input !== undefined && { input }),
  });
}

let events = 0;

/** What the command prints for an event that it reads from a file. */
async function resultOf(event: unknown, ...more: string[]): Promise<CommandResult> {
  const file = join(platform.dataDir, `event-${events++}.json`);
  writeFileSync(file, typeof event === "string" ? event : JSON.stringify(event));
  return invoke(["worker", "--event", file, ...more]);
}

describe("sandpiper invoke --event", () => {
  it("gives a function each of the documented events, and prints its result", async () => {
    assert.deepEqual(readdirSync(SAMPLES).sort(), Object.keys(RESULTS));
    for (const [file, [name, result]] of Object.entries(RESULTS)) {
      const { code, stdout, stderr } = await invoke([name, "--event", join(SAMPLES, file)]);
      assert.equal(code, 0, stderr);
      assert.deepEqual(JSON.parse(stdout), result, file);
    }
  });

  it("reads standard input for -, and shows log and trace of the call", async () => {
    const event = readFileSync(join(SAMPLES, "sns.json"), "utf8");
    const { code, stdout, stderr } = await invoke(["worker", "--event", "-", "--logs", "--trace"], event);
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).topic, "orders");
    assert.match(stderr, /worked on [0-9a-f-]{36}/);
    assert.match(stderr, /handler/);
  });

  it("tells what a function threw in Lambda's words, with exit code 8", async () => {
    const { code, stdout, stderr } = await resultOf({ throws: "too far" });
    assert.equal(code, 8);
    const { errorType, errorMessage, trace } = JSON.parse(stdout);
    assert.deepEqual([errorType, errorMessage, trace[0]], ["RangeError", "too far", "RangeError: too far"]);
    assert.match(trace[1], /index\.ts:3:/);
    assert.match(stderr, /failed: function_error/);
    const { stdout: described } = await resultOf({ throws: "too far" }, "--json");
    assert.partialDeepStrictEqual(JSON.parse(described), { status: 502, outcome: "function_error" });
  });

  it("tells of other ends by their code", async () => {
    const { code, stdout } = await resultOf({ sleeps: true });
    assert.equal(code, 8);
    assert.equal(JSON.parse(stdout).errorType, "TIMEOUT");
  });

  it("says what is wrong with a command line, and with an event that cannot be one", async () => {
    for (const [result, text] of [
      [resultOf("{"), /the event in .*event-\d+\.json is not JSON/],
      [resultOf({}, "--data", "a"), /--event excludes --data/],
      [resultOf({}, "--path", "/a"), /--event excludes .*--path/],
      [invoke(["worker", "--event", "none.json"]), /cannot read none\.json: ENOENT/],
      [invoke(["pages", "--event", "-"], "{}"), /takes no events: its handler is fetch/],
      [invoke(["hostile", "--event", "-"], "{}"), /takes no events: its handler is server on \/tmp\/\\x1b\[2J/],
      [invoke(["clouds", "--event", "-"], "{}"), /attribute specversion is missing/],
    ] as const) {
      const { code, stdout, stderr } = await result;
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, text);
    }
    assert.equal((await invoke(["nobody", "--event", "-"], "{}")).code, 6);
  });
});
