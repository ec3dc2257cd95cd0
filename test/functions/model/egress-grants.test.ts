import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readRule } from "../../../functions/model/egress.ts";
import {
  covers,
  denyProblems,
  type EgressGrants,
  NO_GRANTS,
  privateAddressAdvice,
  readGrant,
  readGrants,
  whyNotGranted,
} from "../../../functions/model/egress-grants.ts";

const rule = (text: string) => {
  const read = readRule(text, "operator");
  return typeof read === "string" ? assert.fail(read) : read;
};

function refusal(
  text: string,
  grants: Partial<EgressGrants> = {},
  allow: "public" | "none" = "public",
  deny: string[] = [],
) {
  return whyNotGranted(rule(text), readGrants("acme", { ...NO_GRANTS, ...grants }, { allow, deny }));
}

describe("grants", () => {
  it("are everything public by default, and nothing private", () => {
    for (const text of ["api.stripe.com", "db.example.com:5432", "*.example.com:1", "8.8.8.8:53", "public"])
      assert.equal(refusal(text), null, text);
    const refused: [string, RegExp, RegExp][] = [
      ["10.0.0.5:5432", /10\.0\.0\.0\/8, a private network/, /^sandpiper egress private acme 10\.0\.0\.5$/],
      ["127.0.0.1:80", /loopback/, /private acme 127\.0\.0\.1$/],
      ["169.254.169.254:80", /metadata/, /private acme 169\.254\.169\.254$/],
      ["db:5432", /name of a private network/, /private acme/],
      ["db.internal", /name of a private network/, /private acme/],
      ["db.home.arpa", /name of a private network/, /private acme/],
    ];
    for (const [text, reason, remedy] of refused) {
      assert.match(refusal(text)?.reason ?? "", reason, text);
      assert.match(refusal(text)?.remedy ?? "", remedy, text);
    }
  });

  it("can be nothing by default, and then what is allowed", () => {
    assert.equal(refusal("api.stripe.com", {}, "none")?.remedy, "sandpiper egress allow acme 'api.stripe.com'");
    assert.equal(refusal("api.stripe.com", { allow: ["api.stripe.com"] }, "none"), null);
    assert.ok(refusal("api.stripe.com", { allow: [] }));
  });

  it("let through what their rules cover, by name and port", () => {
    const allow = ["*.example.com:*", "api.stripe.com", "public:8080", "8.8.8.0/24:53"];
    for (const text of ["a.example.com:5432", "*.b.example.com", "api.stripe.com", "x.org:8080", "8.8.8.8:53"])
      assert.equal(refusal(text, { allow }), null, text);
    for (const text of [
      "example.com",
      "*.com.example.org",
      "api.stripe.com:80",
      "b.api.stripe.com",
      "x.org",
      "8.8.4.4:53",
      "public",
    ])
      assert.match(refusal(text, { allow })?.reason ?? "", /not allowed/, text);
    assert.ok(!covers(rule("a.example.com"), rule("*.example.com")));
    assert.ok(covers(rule("public:*"), rule("public")));
  });

  it("open private ranges, and names that may lead there", () => {
    const grants = { private: ["10.1.0.0/16"] };
    for (const text of ["10.1.2.3:5432", "db:5432", "db.internal"]) assert.equal(refusal(text, grants), null, text);
    assert.ok(refusal("10.2.0.1:5432", grants));
    assert.equal(refusal("db.internal", { allow: ["db.internal"] }), null);
    assert.ok(refusal("db.internal", { allow: ["public:*"] }));
  });

  it("open private ranges for certain names alone", () => {
    const grants = { private: ["db.internal=10.1.0.0/16", "*.corp.example.com=10.2.0.0/16"] };
    for (const text of ["db.internal:5432", "a.corp.example.com:5432", "*.b.corp.example.com"])
      for (const allow of [null, []]) assert.equal(refusal(text, { ...grants, allow }), null, text);
    for (const text of ["other.internal:5432", "db", "10.1.2.3:5432"]) assert.ok(refusal(text, grants), text);
    assert.match(
      refusal("other.internal", grants)?.remedy ?? "",
      /^sandpiper egress private acme 'other\.internal=<the range of its address>'$/,
    );
    assert.match(refusal("db.internal", { ...grants, deny: ["db.internal"] })?.reason ?? "", /is denied/);
  });

  it("are named to those whose function found a private address, as a command that is safe to run", () => {
    assert.match(privateAddressAdvice("acme", "db.internal", "10.1.2.3"), /: .*private acme db\.internal=10\.1\.2\.3$/);
    assert.match(privateAddressAdvice("acme", "$(reboot).example.com", "10.1.2.3"), /private acme 10\.1\.2\.3$/);
    assert.match(privateAddressAdvice("acme", "a.com", "fd00::1"), /fc00::\/7.* private acme a\.com=fd00::1$/);
  });

  it("let what is denied win", () => {
    const grants = { deny: ["*.evil.com:*", "10.1.0.9"], private: ["10.1.0.0/16"] };
    assert.match(refusal("a.evil.com:1", grants)?.remedy ?? "", /egress deny acme --remove '\*\.evil\.com:\*'/);
    assert.match(refusal("10.1.0.9", grants)?.reason ?? "", /is denied/);
    assert.equal(refusal("10.1.0.9:80", grants), null);
    assert.match(refusal("8.8.8.8:53", { deny: ["8.8.0.0/16:*"] })?.reason ?? "", /"8\.8\.0\.0\/16:\*" is denied/);
    assert.equal(refusal("8.9.8.8:53", { deny: ["8.8.0.0/16:*"] }), null);
    assert.match(refusal("x.org", {}, "public", ["x.org"])?.reason ?? "", /is denied/);
  });

  it("take no range as private that is none, or that nobody may reach", () => {
    const text = (given: string) => {
      const grant = readGrant("private", given);
      return "text" in grant ? grant.text : `! ${grant.problem}`;
    };
    assert.equal(text("10.0.0.0/8"), "10.0.0.0/8");
    assert.equal(text("[FD00::]"), "fd00::");
    assert.equal(text("127.0.0.1"), "127.0.0.1");
    assert.match(text("0.0.0.0/0"), /more than one private range/);
    assert.match(text("8.8.8.8"), /public/);
    assert.match(text("224.0.0.0/4"), /multicast; it is never granted/);
    assert.match(text("::ffff:10.0.0.0/104"), /never granted/);
    assert.match(text("10.0.0.1/8"), /is a network/);
    assert.match(text("10.0.0.1:80"), /without a port/);
    assert.match(text("db.internal"), /is a network/);
    assert.equal(text("DB.internal=10.0.0.0/8"), "db.internal=10.0.0.0/8");
    assert.equal(text("*.Corp.example.com=[fd00::]"), "*.corp.example.com=fd00::");
    assert.match(text("db.internal:5432=10.0.0.0/8"), /before the "=" stands a name without a port/);
    assert.match(text("public=10.0.0.0/8"), /before the "=" stands a name/);
    assert.match(text("=10.0.0.0/8"), /a rule is a name/);
    assert.match(text("db.internal=8.8.8.8"), /is public/);
    assert.match(text("db.internal="), /is a network/);
    assert.deepEqual(denyProblems(["a.com:*", "8.8.8.8", "8.8.8.0/24:*", "[2606:4700::]/32:*"]), []);
    assert.match(denyProblems(["https://a.com"]).join(), /SANDPIPER_EGRESS_DENY has "https:\/\/a\.com": it is a URL/);
  });
});
