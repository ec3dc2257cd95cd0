/**
 * A module that a worker under test loads before its own code (node --import): each execution of
 * the function under test is noted in a file as soon as the worker reads the line that the function
 * logs first. So executions are counted whose caller got an error, and those of which nothing
 * reached Redis. A file outlives its process, however that ends.
 *
 * Parameters of its URL: `log`, the URL of the worker's call-log module; `directory`, where notes
 * go.
 */
import { openSync, writeSync } from "node:fs";
import { RAN } from "./kinds.ts";

const { searchParams } = new URL(import.meta.url);
const notes = openSync(`${searchParams.get("directory")}/${process.pid}`, "a");

type Add = (level: string, source: string, text: string, timeMs?: number) => void;
const { CallLog } = (await import(searchParams.get("log") as string)) as { CallLog: { prototype: { add: Add } } };
const { add } = CallLog.prototype;
if (typeof add !== "function") throw new Error("the worker's CallLog has no `add` to note executions by");
CallLog.prototype.add = function (level, source, text, timeMs) {
  if (text.startsWith(RAN)) writeSync(notes, `${text.slice(RAN.length).trim()}\n`);
  add.call(this, level, source, text, timeMs);
};
