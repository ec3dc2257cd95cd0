/** Names of domains, and what they are bound to. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { domainTargetText, readDomainTarget } from "../../../functions/model/domain-target.ts";
import { readDomain } from "../../../functions/model/domains.ts";

const nameOf = (text: string): string | null => {
  const read = readDomain(text);
  return "name" in read ? read.name : null;
};

describe("a domain's name", () => {
  it("is kept in one form, in which look-alikes differ", () => {
    const names: Record<string, string> = {
      "example.com": "example.com",
      "Shop.Example.COM.": "shop.example.com",
      "b\u00fccher.example": "xn--bcher-kva.example",
      "xn--bcher-kva.example": "xn--bcher-kva.example",
      // A Cyrillic a.
      "\u0430pple.com": "xn--pple-43d.com",
      "example\u3002com": "example.com",
      // A soft hyphen, which nobody sees.
      "exa\u00admple.com": "example.com",
      "a--b.c-1.test": "a--b.c-1.test",
      [`${"x".repeat(63)}.com`]: `${"x".repeat(63)}.com`,
    };
    assert.deepEqual(Object.fromEntries(Object.keys(names).map((text) => [text, nameOf(text)])), names);
  });

  it("is no address, no single label and no part of a URL", () => {
    const refused = [
      ...["", ".", "com", "localhost", "a.localhost", "LOCALHOST.", "a.b.localhost."],
      ...["127.0.0.1", "127.1", "0x7f.1", "\uff11\uff12\uff17.0.0.1", "[::1]", "::1", "1.2.3.4.", "a.1", "a.0x1"],
      ...["*.example.com", "a.*.example.com", "*"],
      ...["example.com:80", "http://example.com", "example.com/", "a@example.com", "example.com?", "example.com#"],
      ...["ex%61mple.com", "example.com\0", "exam ple.com", "example.com\r\nhost: x", "\texample.com", "a\\b.com"],
      ...["a..b", ".a.b", "a.b..", "-a.com", "a-.com", "a_b.com", "_sandpiper.a.com", "a,b.com", "a'b.com"],
      ...[`${"x".repeat(64)}.com`, `${"a.".repeat(121)}com`, "a".repeat(2_000), "a\u200db.com"],
    ];
    assert.deepEqual(
      refused.filter((text) => nameOf(text) !== null),
      [],
    );
  });
});

it("a target is a function, or one of its aliases", () => {
  for (const text of ["shop", "shop@staging", "a-b@live"]) {
    const target = readDomainTarget(text);
    assert.equal(target && domainTargetText(target), text);
  }
  for (const text of ["", "@", "shop@", "@live", "shop@a@b", "Shop", "shop@a--b", "shop@abcdef01", "shop/x"]) {
    assert.equal(readDomainTarget(text), null, text);
  }
});
