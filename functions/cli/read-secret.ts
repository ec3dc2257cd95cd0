/** Reads a value that nobody is to see: of a terminal without echo, or all of standard input. */
import { buffer } from "node:stream/consumers";
import { CliError } from "./failure.ts";
import type { Io } from "./io.ts";

const [CTRL_C, CTRL_D, CTRL_U, BACKSPACE, DELETE] = ["\u0003", "\u0004", "\u0015", "\b", "\u007f"];

/**
 * The value. Of standard input that is no terminal, one line feed at its end is left out, as `echo`
 * writes one.
 * @throws CliError when there is none, or it is no UTF-8
 */
export async function readSecret(io: Io, question: string): Promise<string> {
  const value = io.stdin.isTTY ? await ask(io, question) : await readAll(io);
  if (value !== "") return value;
  throw new CliError("usage", "the value is empty", {
    code: "NO_VALUE",
    hint: "type it when you are asked, or send it to standard input, as by < FILE",
  });
}

async function readAll({ stdin }: Io): Promise<string> {
  const bytes = await buffer(stdin);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch (cause) {
    const hint = "base64 makes text of any bytes: base64 -w0 file | sandpiper secret set NAME";
    throw new CliError("usage", "the value is no text in UTF-8", { code: "NOT_UTF8", hint, cause });
  }
}

/** One line of a terminal, whose echo is off meanwhile. */
async function ask(io: Io, question: string): Promise<string> {
  const { stdin, stderr, interrupted } = io;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const stop = () => reject(interrupted.reason);
  let value = "";
  const onData = (typed: string) => {
    // A paste comes at once, and may have several lines of which the last one is not ended.
    for (const character of typed) {
      if (character === "\r" || character === "\n" || character === CTRL_D) return resolve(value);
      if (character === CTRL_C) return reject(new CliError("usage", "nothing was set", { code: "INTERRUPTED" }));
      value = edited(value, character);
    }
  };
  stdin.setRawMode(true);
  stderr.write(`${question}: `);
  stdin.setEncoding("utf8");
  stdin.on("data", onData);
  interrupted.addEventListener("abort", stop, { once: true });
  try {
    return await promise;
  } finally {
    interrupted.removeEventListener("abort", stop);
    stdin.off("data", onData).pause();
    stdin.setRawMode(false);
    stderr.write("\n");
  }
}

function edited(value: string, typed: string): string {
  if (typed === CTRL_U) return "";
  return typed === BACKSPACE || typed === DELETE ? [...value].slice(0, -1).join("") : value + typed;
}
