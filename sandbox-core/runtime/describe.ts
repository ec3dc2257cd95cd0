/** Turns whatever a function threw into text. */
import { inspect } from "node:util";
import type { Failure } from "../protocol/frames.ts";
import type { StackMapper } from "./stack.ts";

const MAX_CAUSES = 3;

/**
 * Describes a thrown value of any kind: an Error, a string, a Proxy, an object whose getters throw.
 * Never throws.
 */
export function describeError(thrown: unknown, mapper: StackMapper): Failure {
  const stack = readText(thrown, "stack");
  const message = readText(thrown, "message");
  if (stack === null && message === null) return { name: "Error", message: describeOther(thrown), stack: "" };
  return {
    name: readText(thrown, "name") || "Error",
    message: message ?? "",
    stack: mapper.map(stack ?? "") + describeCauses(thrown, mapper),
  };
}

/** The stacks of `error.cause`, and of its cause, and so on. */
function describeCauses(thrown: unknown, mapper: StackMapper): string {
  let text = "";
  let cause = read(thrown, "cause");
  for (let depth = 0; cause !== undefined && depth < MAX_CAUSES; depth++) {
    const stack = readText(cause, "stack") ?? readText(cause, "message") ?? describeValue(cause);
    text += `\n  [cause]: ${mapper.map(stack)}`;
    cause = read(cause, "cause");
  }
  return text;
}

function describeOther(thrown: unknown): string {
  return `The function threw a value that is not an Error: ${describeValue(thrown)}`;
}

/** A short picture of any value that calls no code of its own. Never throws. */
export function describeValue(value: unknown): string {
  try {
    const options = { depth: 1, customInspect: false, showProxy: true, maxStringLength: 1000, maxArrayLength: 10 };
    return inspect(value, { ...options, breakLength: Number.POSITIVE_INFINITY });
  } catch {
    return `a value of the type ${typeof value}`;
  }
}

function readText(value: unknown, key: string): string | null {
  const found = read(value, key);
  return typeof found === "string" ? found : null;
}

/** A property of a value that may be anything, or undefined when reading it throws. */
function read(value: unknown, key: string): unknown {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}
