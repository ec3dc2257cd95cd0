/** Functions that take tokens of an issuer alone, whose keys are at a real HTTPS server. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const ISSUER = "https://id.example.com/";
const ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"];
type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

let test: TestGateway;
let server: Server;
let origin = "";
const pairs = new Map<string, Pair>();
/** How the server answers for a path; set it in a test. */
const answers = new Map<string, (response: ServerResponse) => void>();
const asked: string[] = [];
let seen: Record<string, string>[] = [];

before(async () => {
  const dir = tempDir();
  const files = ["-keyout", join(dir, "key.pem"), "-out", join(dir, "cert.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...files, ...subject], { stdio: "ignore" });
  const [key, cert] = [readFileSync(join(dir, "key.pem")), readFileSync(join(dir, "cert.pem"))];
  setDefaultCACertificates([...getCACertificates("default"), cert.toString()]);
  for (const alg of ALGORITHMS) pairs.set(alg, await generateKeyPair(alg, { extractable: true }));
  server = createServer({ key, cert }, ({ url = "" }, response) => {
    asked.push(url);
    const answer = answers.get(url);
    if (answer) answer(response);
    else response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const text = JSON.stringify(await published(ALGORITHMS));
  answers.set("/jwks", (response) => response.end(text));
  test = await startTestGateway({ jwksPrivateNetworks: ["127.0.0.0/8"] });
  test.answer = ({ request }) => {
    seen.push(Object.fromEntries(request.headers));
    return { body: Buffer.from("hello") };
  };
  await deploy("guarded", `${origin}/jwks`);
});
after(async () => {
  await test.stop();
  server.closeAllConnections();
  server.close();
});

async function published(algorithms: readonly string[]) {
  const keys = algorithms.map(async (alg) => ({ ...(await exportJWK(pairOf(alg).publicKey)), alg, kid: `kid-${alg}` }));
  return { keys: await Promise.all(keys) };
}
function pairOf(alg: string): Pair {
  const pair = pairs.get(alg);
  assert.ok(pair);
  return pair;
}
async function deploy(name: string, jwks: unknown, audience: string | string[] = "shop") {
  const response = await test.deploy(name, { access: { jwt: { issuer: ISSUER, audience, jwks } } });
  assert.ok(response.ok, await response.text());
}

/** A token, signed by the issuer's key unless another is given. */
function token(claims: JWTPayload = {}, by: { alg?: string; kid?: string; key?: Pair["privateKey"] } = {}) {
  const { alg = "ES256" } = by;
  const { kid = `kid-${alg}`, key = pairOf(alg).privateKey } = by;
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const all = { iss: ISSUER, aud: "shop", sub: "ada", exp: nowSeconds + 600, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg, kid }).sign(key);
}

async function call(bearer: string | null, name = "guarded", fields: Record<string, string> = {}) {
  const authorization = bearer === null ? {} : { authorization: `Bearer ${bearer}` };
  const response = await fetch(`${test.url}/fn/main/${name}/`, {
    method: "POST",
    body: "x",
    headers: { ...authorization, ...fields },
  });
  const code = response.ok ? "ok" : ((await response.json()) as { error: { code: string } }).error.code;
  return { status: response.status, code, asks: response.headers.get("www-authenticate") };
}
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

it("are called with a token of each kind, and told its claims and nothing of the token", async () => {
  for (const alg of ALGORITHMS) {
    seen = [];
    const bearer = await token({ name: "Ad\u00e4", roles: ["a"] }, { alg });
    const forged = { "x-sandpiper-claims": base64url({ sub: "forged" }), "x-sandpiper-caller": "key forged" };
    assert.equal((await call(bearer, "guarded", forged)).code, "ok", alg);
    const [{ "x-sandpiper-claims": claims = "", ...fields } = {}] = seen;
    const { sub, name, roles } = JSON.parse(Buffer.from(claims, "base64url").toString()) as JWTPayload;
    assert.deepEqual([sub, name, roles], ["ada", "Ad\u00e4", ["a"]]);
    assert.equal(fields["x-sandpiper-caller"], "jwt");
    assert.ok(!JSON.stringify(fields).includes(bearer.split(".")[2] ?? bearer));
  }
  seen = [];
  assert.equal((await call(null, "hello", { "x-sandpiper-claims": base64url({ sub: "forged" }) })).code, "ok");
  assert.equal(seen[0]?.["x-sandpiper-claims"], undefined, "a public function is told no claims");
});

it("take no token that is forged, of somebody else, for somebody else, or over", async () => {
  seen = [];
  const good = await token();
  const [header = "", payload = "", signature = ""] = good.split(".");
  const hs256 = `${base64url({ alg: "HS256", kid: "kid-RS256" })}.${payload}`;
  const secret = await exportSPKI(pairOf("RS256").publicKey);
  const [stranger, nowSeconds] = [await generateKeyPair("ES256"), Math.floor(Date.now() / 1_000)];
  const tokens: Record<string, string | Promise<string>> = {
    "alg none": `${base64url({ alg: "none" })}.${payload}.`,
    "alg none, with a key": `${base64url({ alg: "none", kid: "kid-ES256" })}.${payload}.${signature}`,
    "HS256 by the public key": `${hs256}.${createHmac("sha256", secret).update(hs256).digest("base64url")}`,
    "another's key": token({}, { key: stranger.privateKey }),
    "another key id": token({}, { kid: "kid-EdDSA" }),
    "unknown key id": token({}, { kid: "kid-new" }),
    "another algorithm": `${base64url({ alg: "PS256", kid: "kid-PS256" })}.${payload}.${signature}`,
    "changed claims": `${header}.${base64url({ iss: ISSUER, aud: "shop", exp: nowSeconds + 600 })}.${signature}`,
    "other audience": token({ aud: "other" }),
    "no audience": token({ aud: undefined } as unknown as JWTPayload),
    "other issuer": token({ iss: "https://id.example.com" }),
    "no issuer": token({ iss: undefined } as unknown as JWTPayload),
    "no expiry": token({ exp: undefined } as unknown as JWTPayload),
    expired: token({ exp: nowSeconds - 60 }),
    "not yet": token({ nbf: nowSeconds + 600 }),
    truncated: good.slice(0, -1),
    "no token": "x",
    "an API key": test.key,
  };
  for (const [name, bearer] of Object.entries(tokens)) {
    const answer = await call(await bearer);
    assert.deepEqual(answer, { status: 401, code: "TOKEN_INVALID", asks: 'Bearer error="invalid_token"' }, name);
  }
  assert.deepEqual(await call(null), { status: 401, code: "TOKEN_MISSING", asks: "Bearer" });
  assert.deepEqual(seen, [], "nothing was queued");
});

it("take one of several audiences, and keys that they name themselves", async () => {
  await deploy("inline", await published(["ES256"]), ["a", "b"]);
  assert.equal((await call(await token({ aud: "b" }), "inline")).code, "ok");
  assert.equal((await call(await token({ aud: ["x", "a"] }), "inline")).code, "ok");
  assert.equal((await call(await token(), "inline")).code, "TOKEN_INVALID");
  assert.equal((await call(await token({ aud: "a" }, { alg: "EdDSA" }), "inline")).code, "TOKEN_INVALID");
});

describe("the keys of an issuer", () => {
  it("are fetched once for many calls, also for calls with unknown key ids", async () => {
    answers.set("/once", (response) => answers.get("/jwks")?.(response));
    await deploy("once", `${origin}/once`);
    const bearers = await Promise.all([token(), token({}, { kid: "no-1" }), token(), token({}, { kid: "no-2" })]);
    await Promise.all(bearers.map((bearer) => call(bearer, "once")));
    for (const bearer of bearers) await call(bearer, "once");
    assert.equal(asked.filter((url) => url === "/once").length, 1);
  });

  it("are not taken from what answers wrongly, which is not asked again at once", async () => {
    const many = JSON.stringify({ keys: Array(101).fill({ kty: "EC" }) });
    const wrong: Record<string, (response: ServerResponse) => void> = {
      "/missing": (response) => response.writeHead(404).end(),
      "/moved": (response) => response.writeHead(302, { location: `${origin}/jwks` }).end(),
      "/text": (response) => response.end("no JSON"),
      "/other": (response) => response.end("{}"),
      "/many": (response) => response.end(many),
      "/large": (response) => response.end(`{"keys":[],"x":"${"x".repeat(256 * 1024)}"}`),
      "/cut": (response) => response.writeHead(200, { "content-length": "100" }).write("{", () => response.destroy()),
    };
    const bearer = await token();
    for (const [path, answer] of Object.entries(wrong)) {
      answers.set(path, answer);
      const name = path.slice(1);
      await deploy(name, origin + path);
      const fetches = () => asked.filter((url) => url === path).length;
      for (let count = 0; count < 2; count++) {
        const { status, code } = await call(bearer, name);
        assert.deepEqual([status, code], [503, "JWKS_UNAVAILABLE"], path);
      }
      assert.equal(fetches(), 1, path);
    }
  });

  it("hold up no call of another function while nobody answers", async () => {
    const silent: ServerResponse[] = [];
    answers.set("/silent", (response) => void silent.push(response));
    await deploy("silent", `${origin}/silent`);
    const bearer = await token();
    const waiting = call(bearer, "silent");
    while (silent.length === 0) await once(server, "request");
    assert.equal((await call(bearer)).code, "ok");
    assert.equal((await call(null, "hello")).code, "ok");
    silent[0]?.destroy();
    assert.equal((await waiting).code, "JWKS_UNAVAILABLE");
  });
});

it("reach no private address that the operator does not allow", async () => {
  const closed = await startTestGateway({ jwksPrivateNetworks: ["10.0.0.0/8"] });
  try {
    const port = new URL(origin).port;
    const before = asked.length;
    for (const [index, host] of ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0"].entries()) {
      const jwt = { issuer: ISSUER, audience: "shop", jwks: `https://${host}:${port}/jwks` };
      assert.ok((await closed.deploy(`f${index}`, { access: { jwt } })).ok);
      const headers = { authorization: `Bearer ${await token()}` };
      const response = await fetch(`${closed.url}/fn/main/f${index}/`, { headers });
      assert.equal(response.status, 503, host);
    }
    assert.equal(asked.length, before);
  } finally {
    await closed.stop();
  }
});

it("are refused with what could not keep anybody out", async () => {
  const privateKey = await exportJWK(pairOf("ES256").privateKey);
  const wrong = [
    { issuer: ISSUER, audience: "shop" },
    { issuer: ISSUER, jwks: `${origin}/jwks` },
    { audience: "shop", jwks: `${origin}/jwks` },
    { issuer: "", audience: "shop", jwks: `${origin}/jwks` },
    { issuer: ISSUER, audience: [], jwks: `${origin}/jwks` },
    { issuer: ISSUER, audience: "shop", jwks: "http://id.example.com/jwks" },
    { issuer: ISSUER, audience: "shop", jwks: "https://user:password@id.example.com/jwks" },
    { issuer: ISSUER, audience: "shop", jwks: { keys: [] } },
    { issuer: ISSUER, audience: "shop", jwks: { keys: [privateKey] } },
    { issuer: ISSUER, audience: "shop", jwks: { keys: [{ kty: "oct", k: "c2VjcmV0" }] } },
    { issuer: ISSUER, audience: "shop", jwks: `${origin}/jwks`, algorithms: ["none"] },
  ];
  for (const jwt of wrong) {
    const response = await test.deploy("wrong", { access: { jwt } });
    const { error } = (await response.json()) as { error: { code: string } };
    assert.equal(error.code, "INVALID_CONFIG", JSON.stringify(jwt));
  }
});

it("leave no token in what is logged", () => {
  for (const line of [...test.logged, ...test.accessed]) assert.ok(!line.includes("eyJ"), line);
});
