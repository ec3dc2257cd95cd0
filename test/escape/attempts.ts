/** What JavaScript tries in a sandbox: by way of any kind of function. */

/** Attempts as expressions, each with its result inside. */
export const ATTEMPTS: [what: string, expression: string, expected: unknown][] = [
  [
    "the root has nothing of the host",
    `fs.readdirSync("/").sort()`,
    ["dev", "etc", "function", "proc", "scratch", "tmp"],
  ],
  ["there is no password file of the host", `fs.readFileSync("/etc/passwd", "utf8").split("\\n").length`, 2],
  ["there is no /etc/shadow", `fs.readFileSync("/etc/shadow")`, { error: "ENOENT" }],
  ["there is no /sys", `fs.readdirSync("/sys")`, { error: "ENOENT" }],
  ["the root cannot be written", `fs.writeFileSync("/x", "")`, { error: "EROFS" }],
  ["/etc cannot be written", `fs.writeFileSync("/etc/hosts", "")`, { error: "EROFS" }],
  ["/dev cannot be written", `fs.writeFileSync("/dev/x", "")`, { error: "EROFS" }],
  ["/proc cannot be written", `fs.writeFileSync("/proc/self/comm", "x")`, { error: "EROFS" }],
  ["its own memory is no file to write to", `fs.openSync("/proc/self/mem", "r+")`, { error: "EROFS" }],
  [
    "the table of mounts names nothing of the host's",
    `/vda|devtmpfs|\\/run\\//.test(fs.readFileSync("/proc/self/mountinfo", "utf8"))`,
    false,
  ],
  [
    "devices are devices",
    `[fs.readFileSync("/dev/null").length, fs.readSync(fs.openSync("/dev/zero"), Buffer.alloc(9)), fs.readSync(fs.openSync("/dev/urandom"), Buffer.alloc(9))]`,
    [0, 9, 9],
  ],
  ["a full device is full", `fs.writeFileSync("/dev/full", "x")`, { error: "ENOSPC" }],
  ["what is written to /dev/null is gone", `fs.writeFileSync("/dev/null", "x")`, null],
  ["/tmp can be written", `(fs.writeFileSync("/tmp/x", "yes"), fs.readFileSync("/tmp/x", "utf8"))`, "yes"],
  ["it sees itself alone", `fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name))`, ["1"]],
  ["proc shows nothing of the kernel", `fs.readdirSync("/proc").sort()`, ["1", "self", "thread-self"]],
  ["the kernel's log and memory are absent", `fs.openSync("/proc/kcore")`, { error: "ENOENT" }],
  ["no program can be started", `childProcess.spawnSync("/proc/self/exe", ["-e", "0"]).error.code`, "EPERM"],
  [
    "a file cannot be made executable code",
    `process.dlopen({ exports: {} }, "/tmp/none.node")`,
    { error: "ERR_DLOPEN_FAILED" },
  ],
  [
    "the host's users are unknown",
    `[process.getuid(), process.getgid(), os.userInfo().username]`,
    [1000, 1000, "function"],
  ],
  ["it cannot become root", `process.setuid(0)`, { error: "EPERM" }],
  [
    "clocks go forward, and agree",
    `(async () => { const before = process.hrtime.bigint(); const since = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 5));
      return [process.hrtime.bigint() > before, performance.now() > since,
        Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 60_000, process.uptime() > 0]; })()`,
    [true, true, true, true],
  ],
  [
    "its clocks are not its own to set",
    `fs.writeFileSync("/proc/self/timens_offsets", "monotonic 1 0")`,
    { error: "EROFS" },
  ],
  ["the host's name is unknown", `os.hostname()`, "sandpiper"],
  [
    "loopback works within",
    `(async () => { const server = net.createServer((c) => c.end("hi")).listen(0, "127.0.0.1"); await once(server, "listening");
      const [data] = await once(net.connect(server.address().port, "127.0.0.1"), "data"); server.close(); return data.toString(); })()`,
    "hi",
  ],
  ["process 1 is itself, and init of the host is out of reach", `process.kill(99, 0)`, { error: "ESRCH" }],
];
