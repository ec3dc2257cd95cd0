import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadConfig } from "../../../../functions/cli/config/config-file.ts";
import { CliError } from "../../../../functions/cli/failure.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const base = tempDir();
const freshDir = () => mkdtempSync(join(base, "d-"));

function load(text: string) {
  const dir = freshDir();
  writeFileSync(join(dir, "sandpiper.jsonc"), text);
  return loadConfig(dir, dir);
}

async function messageFor(text: string): Promise<string> {
  const error = await load(text).then(
    () => assert.fail("the configuration was accepted"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof CliError, String(error));
  assert.equal(error.kind, "config");
  return error.message;
}

describe("sandpiper.jsonc", () => {
  it("may have comments, trailing commas and a byte order mark", async () => {
    const { config } = await load('\ufeff{\n// why\n"name": "a", /* b */ "env": {"A": "1",},\n}');
    assert.equal(config.name, "a");
    assert.deepEqual(config.env, { A: "1" });
    assert.ok(!("$schema" in (await load('{"$schema": "x", "name": "a"}')).config));
  });

  it("names the line of an unknown field and what was meant", async () => {
    assert.equal(
      await messageFor('{\n  "name": "a",\n  "memoryMib": 128\n}'),
      [
        'sandpiper.jsonc:3:3: unknown field "memoryMib"',
        '  3 |   "memoryMib": 128',
        "    |   ^^^^^^^^^^^",
        '  did you mean "memoryMiB"? allowed are: $schema, name, entry, handler, kind, include, external, memoryMiB, timeoutMs, isolation, keepPrefix, access, concurrency, minInstances, routes, egress, env, secrets, environments',
      ].join("\n"),
    );
  });

  it("names the place, the demand and the value of each wrong field", async () => {
    const message = await messageFor(
      '{\n"name": "A B",\n"memoryMiB": 100,\n"timeoutMs": "1s",\n"env": {"a-b": "", "C": 3}}',
    );
    assert.match(message, /^sandpiper\.jsonc:2:9: "name" is not right: 1 to 63 of a-z/m);
    assert.match(message, /^sandpiper\.jsonc:3:14: .*one of 64, 128, 256, 512, 1024, 2048, not 100$/m);
    assert.match(message, /^sandpiper\.jsonc:4:14: .*a number, not the string "1s"$/m);
    assert.match(await messageFor('{"name": "a", "timeoutMs": 1.5}'), /it must be a whole number, not 1\.5$/m);
    assert.match(message, /^sandpiper\.jsonc:5:9: "a-b" cannot be a name in "env"$/m);
    assert.match(message, /^sandpiper\.jsonc:5:25: "env\.C" is not right: it must be a string, not 3$/m);
  });

  it("says of each entry of minInstances what is wrong with it, at its place", async () => {
    const message = await messageFor(
      '{\n"name": "a",\n"minInstances": [\n{"count": 0},\n{"count": 1, "cron": "0 0 8 * * *", "for": "8d", "timezone": "Mars"},\n' +
        '{"count": 1, "cron": "0 8 31 4,6 *", "for": "1h"},\n{"count": 1, "cron": "0 8 * * *"},\n{"count": 1, "for": "1h"},\n' +
        '{"count": 1, "timezone": "UTC"},\n{"cron": "0 8 * * 8", "for": "1h"},\n3]}',
    );
    const said = (place: string, words: string) =>
      assert.ok(message.includes(`sandpiper.jsonc:${place}: "minInstances.${words}`), `${place} ${words}\n${message}`);
    said("4:11", '0.count" is not right: the least is 1, and it is 0');
    said("5:22", '1.cron" is not right: five fields, as in "0 8 * * 1-5"');
    said("5:44", '1.for" is not right: a number and one of s, m, h, d, from 1m to 7d');
    said("5:62", '1.timezone" is not right: no time zone that is known');
    said("6:22", '2.cron" is not right: none of the months has such a day');
    said("7:22", '3.cron" is not right: "cron" stands beside "for" only');
    said("8:21", '4.for" is not right: "for" stands beside "cron" only');
    said("9:26", '5.timezone" is not right: "timezone" stands beside "cron" only');
    said("10:10", '6.cron" is not right: Constraint error, got value 8 expected range 0-7. It needs five fields');
    said("11:1", '7" is not right: it must be an object, not 3');
    assert.match(message, /^sandpiper\.jsonc:10:1: the field "minInstances\.6\.count" is missing$/m);
    assert.match(
      await messageFor('{"name": "a", "minInstances": []}'),
      /at least one entry, or 0 in place of the list/,
    );
    assert.match(await messageFor('{"name": "a", "minInstances": {}}'), /must be a number or an array, not an object/);
  });

  it("says of each rule of egress what is wrong with it, at its place", async () => {
    const message = await messageFor(
      '{\n"name": "a",\n"egress": [\n"https://api.example.com/v1",\n{"to": "a.com", "incject": {}},\n{"inject": {"a": "b"}},\n' +
        '{"to": "b.com", "inject": {"Host": "x"}},\n"a*.com",\n3]}',
    );
    assert.match(message, /^sandpiper\.jsonc:4:1: "egress\.0" is not right: it is a URL; .*: "api\.example\.com"$/m);
    assert.match(message, /^sandpiper\.jsonc:5:17: unknown field "incject" in "egress\.1"$/m);
    assert.match(message, /^sandpiper\.jsonc:6:1: the field "egress\.2\.to" is missing$/m);
    assert.match(message, /^sandpiper\.jsonc:7:28: "Host" cannot be a name in "egress\.3\.inject"$/m);
    assert.match(message, /belongs to the connection/);
    assert.match(message, /^sandpiper\.jsonc:8:1: "egress\.4" is not right: a "\*" stands for whole labels/m);
    assert.match(message, /^sandpiper\.jsonc:9:1: "egress\.5" is not right: it must be a string or an object, not 3$/m);
    const injected = await messageFor(
      `{"name": "a", "egress": [{"to": "a.com:8443", "inject": {"x": "{{secrets.A-B}}", "x\\r\\ny": "c"},\n"methods": ["post"], "paths": ["v1"]}]}`,
    );
    assert.match(injected, /^sandpiper\.jsonc:1:63: "egress\.0\.inject\.x" is not right: .*\{\{secrets\.STRIPE\}\}$/m);
    assert.match(injected, /^sandpiper\.jsonc:1:82: "x\S+y" cannot be a name in "egress\.0\.inject"$/m);
    assert.match(injected, /^sandpiper\.jsonc:2:13: "egress\.0\.methods\.0" is not right: a method in upper case/m);
    assert.match(injected, /^sandpiper\.jsonc:2:32: "egress\.0\.paths\.0" is not right: a path begins with/m);
    const many = JSON.stringify(Array.from({ length: 65 }, (_, i) => `a${i}.com`));
    assert.match(await messageFor(`{"name": "a", "egress": ${many}}`), /"egress" is not right: at most 64 rules/);
  });

  it("says of each route what is wrong with it, at its place", async () => {
    const message = await messageFor(
      '{\n"name": "a",\n"routes": [\n"example.com/api/*",\n"example.com/*",\n"Example.com/x",\n"*.example.com/x",\n3]}',
    );
    assert.doesNotMatch(message, /"routes\.0"/);
    assert.match(message, /^sandpiper\.jsonc:5:1: "routes\.1" is not right: it needs a path, such as \/api\/\*;/m);
    assert.match(message, /^sandpiper\.jsonc:6:1: "routes\.2" is not right: its domain is written example\.com$/m);
    assert.match(
      message,
      /^sandpiper\.jsonc:7:1: "routes\.3" is not right: before its first '\/' it needs one host name;/m,
    );
    assert.match(message, /^sandpiper\.jsonc:8:1: "routes\.4" is not right: it must be a string, not 3$/m);
  });

  it("says which field is missing", async () => {
    assert.match(await messageFor("{}"), /^sandpiper\.jsonc:1:1: the field "name" is missing/);
  });

  it("shows where the syntax breaks", async () => {
    assert.match(
      await messageFor('{\n  "name": "a"\n  "entry": "b"\n}'),
      /^sandpiper\.jsonc:3:3: a ',' is expected here\n {2}3 \|/,
    );
    assert.match(await messageFor('{"name": "a'), /this string has no end/);
    assert.match(await messageFor("{'name': 1}"), /:1:2: /);
    assert.match(await messageFor(""), /the file is empty/);
    assert.match(await messageFor("[]"), /must hold an object, not an array/);
  });

  it("refuses a field that is given twice, and __proto__", async () => {
    assert.match(await messageFor('{"name": "a",\n "name": "b"}'), /:2:2: "name" is given twice/);
    assert.match(
      await messageFor('{"name": "a", "env": {"__proto__": "x"}}'),
      /:1:23: a field cannot be called __proto__/,
    );
  });

  it("tells a missing file from one that is too large", async () => {
    const dir = freshDir();
    await assert.rejects(loadConfig(dir, dir), { code: "CONFIG_MISSING", message: "there is no sandpiper.jsonc" });
    await assert.rejects(load(`{"name": "a"}${" ".repeat(1024 * 1024)}`), { code: "CONFIG_TOO_LARGE" });
  });
});
