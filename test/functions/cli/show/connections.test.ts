import assert from "node:assert/strict";
import { it } from "node:test";
import { connectionLines } from "../../../../functions/cli/show/connections.ts";

it("shows connections in columns, says what kept means, and counts the rest", () => {
  const more = { bytesUp: 1_536, bytesDown: 20, startedAtMs: 1, durationMs: 12.34 };
  const connections = [
    { host: "db.example.com", port: 5_432, address: "203.0.113.7", ...more, verdict: "kept" },
    { host: "evil\u001b[2J.com", ...more, bytesUp: 0, verdict: "undeclared_name" },
    { host: "8.8.8.8", port: 53, address: "8.8.8.8", ...more, verdict: "ok" },
  ];
  const lines = connectionLines({ connections, more: 7 });
  assert.match(
    lines[0] ?? "",
    /^db\.example\.com:5432 +203\.0\.113\.7 +up 1\.5 KiB +down 20 B +12\.3 ms +kept \(open still/,
  );
  assert.match(lines[1] ?? "", /^evil\\.*2J\.com +up 0 B +down 20 B +12\.3 ms +undeclared_name$/);
  assert.match(lines[2] ?? "", /^8\.8\.8\.8:53 +up 1\.5 KiB/);
  assert.equal(lines[3], "and 7 more");
});
