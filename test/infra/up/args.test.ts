import assert from "node:assert/strict";
import { test } from "node:test";
import { parseUpArgs } from "../../../infra/up/args.ts";
import { UpError } from "../../../infra/up/failure.ts";

const parse = (...argv: string[]) => parseUpArgs(argv, "/here", { host: "127.0.0.1", port: 8787, dataDir: "/default" });

test("defaults", () => {
  assert.deepEqual(parse(), {
    help: false,
    once: false,
    workers: 1,
    host: "127.0.0.1",
    port: 8787,
    dataDir: "/default",
    allowDegraded: null,
  });
});

test("every option", () => {
  assert.deepEqual(
    parse(
      "--once",
      "--workers",
      "2",
      "--port=0",
      "--host",
      "::1",
      "--data",
      "x/y",
      "--allow-degraded=landlock,swap-limit",
    ),
    {
      help: false,
      once: true,
      workers: 2,
      host: "::1",
      port: 0,
      dataDir: "/here/x/y",
      allowDegraded: "landlock,swap-limit",
    },
  );
});

test("what is wrong is named, with the way to help", () => {
  for (const [argv, message] of [
    [["--port", "x"], /--port must be a whole number from 0 to 65535, not "x"/],
    [["--workers", "0"], /--workers must be/],
    [["--nope"], /--nope/],
    [["surplus"], /surplus/],
    [["--data", ""], /--data must name a directory/],
  ] as const) {
    assert.throws(
      () => parse(...argv),
      (error: unknown) => error instanceof UpError && message.test(error.message) && error.hint.includes("--help"),
    );
  }
});
