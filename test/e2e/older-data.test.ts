/**
 * Starts on data of Sandpipers before this one. The files of `older-data/` were written by them: by
 * their own gateway and worker, told by their own command line.
 */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { DATA_FORM } from "../../functions/store/form/form-steps.ts";
import { Platform } from "../helpers/platform.ts";

interface OlderData {
  apiKey: string;
  /** null: that Sandpiper knew none. */
  masterKey: string | null;
  keys: Readonly<Record<string, string>>;
  /** Commands of Redis that lead to what was in it. */
  commands: [command: string, ...words: string[]][];
  /** Files of the artefact store, by their paths in it. */
  artifacts: Readonly<Record<string, string>>;
}

async function startOn(name: string): Promise<{ platform: Platform; data: OlderData }> {
  const data = JSON.parse(await readFile(join(import.meta.dirname, "older-data", `${name}.json`), "utf8")) as OlderData;
  const platform = await Platform.start({
    async prepare(redis, dataDir) {
      const connection = redis.connect();
      for (const [command, ...words] of data.commands) await connection.call(command, ...words);
      const files = Object.entries(data.artifacts).map(([path, text]) => [`artifacts/${path}`, text]);
      const keys = data.masterKey === null ? [] : [["master-key", data.masterKey]];
      for (const [path = "", text = ""] of [...files, ...keys, ["api-key", data.apiKey]]) {
        await mkdir(dirname(join(dataDir, path)), { recursive: true });
        await writeFile(join(dataDir, path), text, { mode: 0o600 });
      }
    },
  });
  return { platform, data };
}

const call = async (platform: Platform, path: string, key?: string) => {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const response = await fetch(`${platform.url}/fn/main/${path}/`, { headers });
  return { status: response.status, body: await response.json() };
};

describe("data from before forms had numbers", () => {
  it("has functions, secrets, keys and aliases work", async (t) => {
    const { platform, data } = await startOn("before-forms");
    t.after(() => platform.stop());
    const redis = platform.redis.connect();
    assert.equal(await redis.get("sp:form"), String(DATA_FORM));
    const nothing = { token: null, shared: null };
    assert.deepEqual(await call(platform, "hello"), {
      status: 200,
      body: { text: "second", plain: "second plain", ...nothing },
    });
    assert.deepEqual(await call(platform, "stable--hello"), {
      status: 200,
      body: { text: "first", plain: "first plain", ...nothing },
    });
    assert.equal((await call(platform, "secretive")).status, 401);
    assert.deepEqual(await call(platform, "secretive", data.keys.invoke), {
      status: 200,
      body: { text: "secretive", plain: null, token: "token value", shared: "shared value" },
    });
    const aliases = await (await platform.api("/v1/functions/hello/aliases")).json();
    assert.deepEqual(
      (aliases as { aliases: { alias: string }[] }).aliases.map(({ alias }) => alias),
      ["live", "stable"],
    );
  });
});

describe("data from before environments were sealed, and before aliases", () => {
  it("has functions and keys work, and nothing is in clear any more", async (t) => {
    const { platform, data } = await startOn("before-sealing");
    t.after(() => platform.stop());
    const redis = platform.redis.connect();
    const { body } = await call(platform, "hello");
    assert.deepEqual(body, { text: "second", plain: "second plain", token: null, shared: null });
    const versions = Object.values(await redis.hgetall("sp:versions:main:hello")).join();
    assert.ok(!versions.includes("second plain") && !versions.includes("first plain"), versions);
    assert.ok((await redis.hget("sp:function:main:hello", "alias:live"))?.includes("routes"));
    const whoami = await fetch(`${platform.url}/v1/whoami`, {
      headers: { authorization: `Bearer ${data.keys.unlisted}` },
    });
    assert.equal(whoami.status, 200);
    const { keys } = (await (await platform.api("/v1/keys")).json()) as { keys: { keyId: string }[] };
    assert.ok(keys.some(({ keyId }) => keyId === data.keys.unlisted?.split("_")[1]));
  });
});
