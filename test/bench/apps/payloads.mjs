/**
 * Answers of every server: the same bytes of hello, the same object as JSON, the same megabyte.
 */
export const HELLO = "Hello, world!\n";

/** About 100 KB as JSON. */
export const ITEMS = Array.from({ length: 1_000 }, (_, id) => ({
  id,
  name: `item ${id}`,
  price: id * 1.25,
  tags: ["one", "two", "three"],
  text: "x".repeat(17),
}));

export const BINARY = new Uint8Array(2 ** 20).fill(7);
