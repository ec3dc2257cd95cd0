import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { RUNTIME_NODE_FLAGS } from "../../../sandbox-core/runtime/flags.ts";

const RUNTIME = fileURLToPath(new URL("../../../sandbox-core/runtime/", import.meta.url));

/**
 * Runs a module in a node of its own, started as a zygote is, and returns what it printed, as JSON.
 */
function run(code: string, ...flags: string[]): unknown {
  const args = ["--single-threaded", ...RUNTIME_NODE_FLAGS, ...flags, "--input-type=module", "--eval", code];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env: {} });
  assert.equal(stderr, "");
  return JSON.parse(stdout);
}

const RENEW = `import { renewRandomness } from "${RUNTIME}random.ts";`;

/**
 * Draws from Math.random and from that of a new context, in a process whose V8 always starts with
 * the same seed.
 */
function draw(entropyByte: number): [number, number] {
  const code = `${RENEW} import vm from "node:vm"; renewRandomness(Buffer.alloc(32, ${entropyByte}));
    console.log(JSON.stringify([Math.random(), vm.runInNewContext("Math.random()")]));`;
  return run(code, "--random-seed=42") as [number, number];
}

test("the same entropy gives the same numbers, other entropy others, in new contexts too", () => {
  const [first, same, other] = [draw(1), draw(1), draw(2)];
  assert.deepEqual(first, same);
  assert.notEqual(first[0], other[0]);
  assert.notEqual(first[1], other[1]);
});

test("every bit of the state's entropy counts", () => {
  const code = `${RENEW} const seen = new Set();
    for (let bit = -1; bit < 128; bit++) {
      const entropy = Buffer.alloc(32);
      if (bit >= 0) entropy[bit >> 3] |= 1 << (bit & 7);
      renewRandomness(entropy);
      seen.add([...Array(8)].map(() => Math.random()).join());
    }
    console.log(seen.size);`;
  // One bit is given up so that the state is never all zeros.
  assert.equal(run(code), 128);
});

test("the generator is the published one", () => {
  // The first outputs of xoshiro128** with the state 1, 2, 3, 5, by its reference code.
  const [a, b, c, d] = reference([1, 2, 3, 5], 4) as [number, number, number, number];
  const code = `${RENEW} const entropy = Buffer.alloc(32); [1, 2, 3, 5].forEach((word, at) => entropy.writeUInt32LE(word, at * 4));
    renewRandomness(entropy); console.log(JSON.stringify([Math.random(), Math.random()]));`;
  const double = (high: number, low: number) => ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
  assert.deepEqual(run(code), [double(a, b), double(c, d)]);
});

/** https://prng.di.unimi.it/xoshiro128starstar.c, in BigInt for not being the code under test. */
function reference(state: number[], count: number): number[] {
  const s = state.map(BigInt) as [bigint, bigint, bigint, bigint];
  const cut = (value: bigint) => BigInt.asUintN(32, value);
  const rotate = (value: bigint, bits: bigint) => cut((value << bits) | (value >> (32n - bits)));
  return Array.from({ length: count }, () => {
    const result = cut(rotate(cut(s[1] * 5n), 7n) * 9n);
    const shifted = cut(s[1] << 9n);
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 11n);
    return Number(result);
  });
}

test("the numbers are from 0 up to 1 and spread evenly", () => {
  const code = `${RENEW} renewRandomness(Buffer.from("0123456789abcdef0123456789abcdef"));
    const counts = Array(10).fill(0);
    for (let n = 0; n < 100000; n++) counts[Math.floor(Math.random() * 10)]++;
    console.log(JSON.stringify(counts));`;
  const counts = run(code) as number[];
  assert.equal(counts.length, 10);
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, String(counts));
});

test("it looks like the function it replaces", () => {
  const look = `const d = Object.getOwnPropertyDescriptor(Math, "random"); delete d.value;
    console.log(JSON.stringify([Math.random.name, Math.random.length, String(Math.random), "prototype" in Math.random, d]));`;
  assert.deepEqual(run(`${RENEW} renewRandomness(Buffer.alloc(32, 1)); ${look}`), run(look));
});

test("entropy that is too short is refused", () => {
  const code = `${RENEW} try { renewRandomness(Buffer.alloc(31)) } catch (error) { console.log(JSON.stringify(error.name)) }`;
  assert.equal(run(code), "RangeError");
});

const WARM = `import { warm } from "${RUNTIME}warm.ts"; await warm();`;

/**
 * Reads the variables that node:crypto keeps its random bytes in, out of the closures, through the
 * inspector.
 */
const CACHES = `
  import crypto from "node:crypto";
  import { Session } from "node:inspector";
  const session = new Session();
  session.connect();
  const post = (method, params) => { let out; session.post(method, params, (error, result) => { out = result; }); return out; };
  const properties = (objectId) => post("Runtime.getProperties", { objectId, ownProperties: true });
  globalThis.inspected = crypto.randomUUID;
  const { result } = post("Runtime.evaluate", { expression: "inspected" });
  const scopes = properties(result.objectId).internalProperties.find(({ name }) => name === "[[Scopes]]");
  const found = {};
  for (const scope of properties(scopes.value.objectId).result) {
    if (!scope.value?.objectId || scope.value.description === "Global") continue;
    for (const { name, value } of properties(scope.value.objectId).result) {
      if (["uuidData", "uuidNotBuffered", "uuidBatch", "randomCacheOffset"].includes(name)) {
        found[name] = value.value ?? value.description ?? null;
      }
    }
  }
  console.log(JSON.stringify(found));`;

test("warming draws nothing from the caches of node:crypto", () => {
  const untouched = { randomCacheOffset: 6144, uuidData: null, uuidNotBuffered: null, uuidBatch: 0 };
  assert.deepEqual(run(WARM + CACHES), untouched);
  const used = `import { randomInt, randomUUID } from "node:crypto"; randomInt(9); randomUUID();`;
  assert.notDeepEqual(run(used + CACHES), untouched, "the look into the closures sees what was used");
});

test("warming draws nothing from Math.random", () => {
  const draw = "console.log(Math.random());";
  assert.equal(run(WARM + draw, "--random-seed=42"), run(draw, "--random-seed=42"));
});

test("warming leaves no timer, socket or other handle open, and no global behind", () => {
  const code = `
    import { createHook } from "node:async_hooks";
    import { setTimeout as delay } from "node:timers/promises";
    const open = new Map();
    const quiet = new Set(["PROMISE", "TickObject", "Microtask", "FSREQCALLBACK", "FSREQPROMISE", "Immediate"]);
    const { warm } = await import("${RUNTIME}warm.ts");
    // Node itself opens its stderr when it first loads a part that could print in colour.
    const before = [process.stderr.fd, ...process.getActiveResourcesInfo()].slice(1).join();
    const globals = Object.getOwnPropertyNames(globalThis).length;
    const env = JSON.stringify(process.env);
    const hook = createHook({
      init(id, type) { if (!quiet.has(type)) open.set(id, type); },
      destroy(id) { open.delete(id); },
    }).enable();
    await warm();
    hook.disable();
    console.log(JSON.stringify({
      sameActive: process.getActiveResourcesInfo().join() === before,
      timers: [...open.values()].filter((type) => type === "Timeout" || /WRAP$/.test(type) && /TCP|PIPE|TLS|UDP/.test(type)),
      globals: Object.getOwnPropertyNames(globalThis).length - globals,
      env: JSON.stringify(process.env) === env,
    }));`;
  assert.deepEqual(run(code), { sameActive: true, timers: [], globals: 0, env: true });
});
