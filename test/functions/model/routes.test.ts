/** Routes of functions at their tenant's domains, as sandpiper.jsonc has them. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { readRoute } from "../../../functions/model/routes.ts";

it("a route is a domain and a path, or all below a path", () => {
  assert.deepEqual(readRoute("example.com/api/*"), { domain: "example.com", path: "/api", isPrefix: true });
  assert.deepEqual(readRoute("example.com/a/b.json"), { domain: "example.com", path: "/a/b.json", isPrefix: false });
  assert.deepEqual(readRoute("a.example.com/x/"), { domain: "a.example.com", path: "/x/", isPrefix: false });
  assert.deepEqual(readRoute("example.com/@me/v1.0/*"), { domain: "example.com", path: "/@me/v1.0", isPrefix: true });
});

it("all else is refused", () => {
  const wrong = [
    ...["", "/", "/api/*", "example.com", "example.com/", "example.com/*", "example.com//*"],
    ...["example.com/a*", "example.com/*/a", "example.com/a/*/b", "*.example.com/a", "example.com/a/**"],
    ...[
      "example.com/a?b",
      "example.com/a#b",
      "example.com/a b",
      "example.com/%61",
      "example.com/\u00e9",
      "example.com/a\0",
    ],
    ...["example.com/a//b", "example.com/a/../b", "example.com/..", "example.com/a/./*", "example.com/a//*"],
    ...["Example.com/a", "b\u00fccher.example/a", "example.com./a", "localhost/a", "127.0.0.1/a", "example.com:80/a"],
    ...["https://example.com/a", `example.com/${"a".repeat(256)}`],
  ];
  assert.deepEqual(
    wrong.filter((text) => !("problem" in readRoute(text))),
    [],
  );
});
