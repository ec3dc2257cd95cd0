import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatRule, type RuleAuthor, readRule } from "../../../functions/model/egress.ts";
import { canonicalEgress, injectedSecrets, MAX_PORTS, MAX_RULES } from "../../../functions/model/egress-entry.ts";
import { formatNetwork, holds, readNetwork } from "../../../functions/model/ip-network.ts";
import { functionConfigSchema } from "../../../functions/model/manifest.ts";
import { refusedRanges } from "../../../functions/model/refused-ranges.ts";

const canonical = (text: string, author: RuleAuthor = "function") => {
  const rule = readRule(text, author);
  return typeof rule === "string" ? `! ${rule}` : formatRule(rule);
};
const problemsOf = (egress: unknown) => {
  const { error } = functionConfigSchema.safeParse({ name: "a", egress });
  return error?.issues.map(({ path, message }) => `${path.slice(1).join(".")}: ${message}`) ?? [];
};

describe("a rule", () => {
  it("has one form, however it is written", () => {
    const forms: [string, string][] = [
      ["api.stripe.com", "api.stripe.com"],
      ["API.Stripe.com:443", "api.stripe.com"],
      ["api.stripe.com.", "api.stripe.com"],
      ["*.amazonaws.com:443", "*.amazonaws.com"],
      ["db.example.com:5432", "db.example.com:5432"],
      ["bücher.de", "xn--bcher-kva.de"],
      ["_mongodb._tcp.example.com:27017", "_mongodb._tcp.example.com:27017"],
      ["db:5432", "db:5432"],
      ["10.0.0.5:5432", "10.0.0.5:5432"],
      ["public", "public"],
    ];
    for (const [given, expected] of forms) assert.equal(canonical(given), expected);
    const ofOperators = [
      "10.0.0.0/8:*",
      "10.0.0.0/8",
      "[fc00::/7]:*",
      "public:*",
      "public:5432",
      "*.x.com:*",
      "[2606:4700::1]:80",
    ];
    for (const text of ofOperators) assert.equal(canonical(text, "operator"), text);
    assert.equal(canonical("[fc00::]/7:*", "operator"), "[fc00::/7]:*");
  });

  it("says of each mistake what it is and what to write", () => {
    const mistakes: [string, RegExp][] = [
      ["", /is a name/],
      ["a b", /no spaces/],
      ["https://api.stripe.com/v1", /URL.*"api\.stripe\.com"$/],
      ["postgres://user:hush@db.example.com/app", /URL.*"db\.example\.com:5432"$/],
      ["https://", /URL/],
      ["user@db.example.com", /user before the '@'/],
      ["api.stripe.com/v1", /path/],
      ["api.stripe.com:443/v1", /path/],
      ["*", /"public" is every public address/],
      ["a.*.com", /whole labels at the beginning/],
      ["*a.com", /whole labels at the beginning/],
      ["**.a.com", /whole labels at the beginning/],
      ["*.com", /top-level domain/],
      ["public:8080", /public is the ports 80 and 443/],
      ["a.com:25", /port 25 .* 587/],
      ["a.com:0", /from 1 to 65535/],
      ["a.com:65536", /from 1 to 65535/],
      ["a.com:080", /from 1 to 65535/],
      ["a.com:", /from 1 to 65535/],
      ["a.com:http", /from 1 to 65535/],
      ["a.com:8000-8100", /a rule for each port/],
      ["10.0.0.5:1-2", /a rule for each port/],
      ["a.com:*", /a rule for each port/],
      ["10.0.0.0/8", /network cannot be declared/],
      ["300.1.1.1", /no address/],
      ["10.1", /no address/],
      ["0x7f000001", /ends like an address/],
      ["2606:4700::1", /in brackets: \[2606:4700::1\]/],
      ["[db.example.com]:1", /only an address of IPv6 stands in brackets/],
      ["[2606:4700::1]:443", /version 6 cannot be declared; declare a name/],
      ["127.0.0.1:80", /the sandbox itself/],
      ["0.0.0.0", /which nobody reaches/],
      ["224.0.0.1:443", /multicast/],
      ["198.18.0.1", /stand-in/],
      ["localhost:6379", /sandbox itself/],
      ["redis.localhost", /sandbox itself/],
      ["a..b", /no host name/],
      ["-a.com", /no host name/],
      [`${"a".repeat(64)}.com`, /no host name/],
      [`${"a.".repeat(127)}com`, /no host name/],
    ];
    for (const [text, words] of mistakes) assert.match(canonical(text), words, text);
    for (const [text] of mistakes) assert.ok(canonical(text).startsWith("! "), text);
    assert.ok(!canonical("postgres://user:hush@db.example.com/app").includes("hush"));
  });
});

describe("the field egress", () => {
  const inject = { authorization: "Bearer {{secrets.STRIPE}}" };

  it("takes rules, and objects with what is injected, in any order", () => {
    assert.deepEqual(problemsOf([]), []);
    const egress = [
      "b.com:80",
      { to: "A.com", inject: { Z: "1", ...inject }, methods: ["POST", "GET"], paths: ["/v1/"] },
    ];
    assert.deepEqual(problemsOf(egress), []);
    const expected = [
      { to: "a.com", inject: { ...inject, z: "1" }, methods: ["GET", "POST"], paths: ["/v1/"] },
      "b.com:80",
    ];
    assert.deepEqual(canonicalEgress(functionConfigSchema.parse({ name: "a", egress }).egress ?? []), expected);
    assert.deepEqual(canonicalEgress([{ to: "a.com" }]), ["a.com"]);
  });

  it("refuses rules that are there twice, too many rules and too many ports", () => {
    assert.deepEqual(problemsOf(["a.com", "A.com:443"]), ['1: "a.com" is declared already, as rule 1']);
    const names = (count: number) => Array.from({ length: count }, (_, i) => `a${i}.com`);
    assert.deepEqual(problemsOf(names(MAX_RULES)), []);
    assert.match(problemsOf(names(MAX_RULES + 1)).join(), /^: at most 64 rules/);
    const ports = (count: number) => Array.from({ length: count }, (_, i) => `a.com:${1000 + i}`);
    assert.deepEqual(problemsOf(ports(MAX_PORTS)), []);
    assert.match(problemsOf(ports(MAX_PORTS + 1)).join(), /^: 17 different ports/);
  });

  it("injects into requests to one named host on 443 alone, and never beside public", () => {
    const refused: [unknown[], RegExp][] = [
      [[{ to: "*.a.com", inject }], /^0\.to: .*one host by its name/],
      [[{ to: "1.1.1.1", inject }], /^0\.to: .*one host by its name/],
      [[{ to: "public", inject }], /^0\.to: .*name the one host/],
      [[{ to: "a.com:80", inject }], /^0\.to: .*port 443/],
      [["public", { to: "a.com", inject }], /^1: .*while "public" is declared/],
      [["*.b.com", { to: "a.b.com", inject }], /^0: "\*\.b\.com" reaches a\.b\.com past what is injected/],
      [[{ to: "a.com", inject }, "a.com:80"], /^1: "a\.com:80" reaches a\.com past/],
      [[{ to: "a.com", methods: ["GET"] }], /^0\.methods: .*add inject/],
      [[{ to: "a.com", inject: {} }], /^0\.inject: name a header field/],
      [[{ to: "a.com", inject: { "x-a": "{{env.A}}" } }], /^0\.inject\.x-a: .*\{\{secrets\.STRIPE\}\}/],
      [[{ to: "a.com", inject: { "x-a": "a\r\nb: c" } }], /^0\.inject\.x-a: .*line breaks/],
      [[{ to: "a.com", inject: { A: "1", a: "2" } }], /^0\.inject: .*twice/],
      [[{ to: "a.com", inject, methods: ["get"] }], /^0\.methods\.0: .*upper case/],
      [[{ to: "a.com", inject, methods: ["CONNECT"] }], /^0\.methods\.0: CONNECT never passes/],
      [[{ to: "a.com", inject, paths: ["v1"] }], /^0\.paths\.0: .*begins with/],
      [[{ to: "a.com", inject, paths: ["/", "/v1?a=b"] }], /^0\.paths\.1: .*no query/],
      [[{ to: "a.com", inject, paths: ["/v1/*"] }], /^0\.paths\.0: .*needs no '\*'/],
      ...["//v1", "/v1/../x", "/v1/.", "/a%2Fb", "/%2e%2e/", "/a\\b"].map((path): [unknown[], RegExp] => [
        [{ to: "a.com", inject, paths: [path] }],
        /^0\.paths\.0: no such path passes/,
      ]),
    ];
    for (const [egress, words] of refused) assert.match(problemsOf(egress).join("\n"), words);
  });
});

describe("secrets that are injected", () => {
  it("are named by the relay's part alone", () => {
    const egress = [{ to: "a.com", inject: { b: "{{secrets.ONE}} {{ secrets.TWO }}", c: "{{secrets.ONE}}" } }, "b.com"];
    assert.deepEqual(injectedSecrets(egress), ["ONE", "TWO"]);
    const { error } = functionConfigSchema.safeParse({ name: "a", egress, secrets: ["THREE", "TWO"] });
    assert.deepEqual(
      error?.issues.map(({ path }) => path),
      [["secrets", 1]],
    );
    assert.match(error?.message ?? "", /TWO is injected by a rule of \\"egress\\"/);
    assert.equal(functionConfigSchema.safeParse({ name: "a", egress, secrets: ["THREE"] }).success, true);
  });
});

describe("networks", () => {
  it("hold their addresses and no others", () => {
    const network = (text: string) => readNetwork(text) ?? assert.fail(text);
    for (const [outer, inner, expected] of [
      ["10.0.0.0/8", "10.255.255.255", true],
      ["10.0.0.0/8", "11.0.0.0", false],
      ["10.0.0.0/8", "10.1.0.0/16", true],
      ["10.1.0.0/16", "10.0.0.0/8", false],
      ["0.0.0.0/0", "::1", false],
      ["fc00::/7", "fdff::1", true],
      ["::ffff:0:0/96", "::ffff:10.0.0.1", true],
      ["::1", "::1", true],
    ] as const)
      assert.equal(holds(network(outer), network(inner)), expected, `${outer} ${inner}`);
    for (const text of ["10.0.0.1/8", "10.0.0.0/33", "fe80::1%lo", "1.2.3", "a.b", "/8", "10.0.0.0/", "01.0.0.0"])
      assert.equal(readNetwork(text), null, text);
    for (const { range, network } of refusedRanges())
      assert.equal(formatNetwork(network).split("/")[0], range.split("/")[0]);
  });
});
