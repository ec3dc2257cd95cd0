/** A whole worker with an attacker and a neighbour on it. */
import assert from "node:assert/strict";
import { stretched } from "../helpers/slowness.ts";
import { type Answered, type CallOptions, TestWorker } from "../helpers/worker.ts";

/** What attackers begin with. */
const PRELUDE = `
  import * as fs from "node:fs";
  import * as net from "node:net";
  import { spawn } from "node:child_process";
  import { Worker } from "node:worker_threads";
  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  /** Descriptors that are open, the standard ones left out. */
  const open = () => Array.from({ length: 64 }, (_, i) => i + 3).filter((fd) => { try { fs.fstatSync(fd); return true; } catch { return false; } });
  const sockets = () => open().filter((fd) => fs.fstatSync(fd).isSocket());
  /** Writes all of it straight to a descriptor, however slowly the other end reads. */
  const write = async (fd: number, bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;)
      try { at += fs.writeSync(fd, bytes, at); } catch (error) { if (error.code !== "EAGAIN") throw error; await sleep(1); }
  };`;

type Config = Parameters<TestWorker["deploy"]>[2];

export class Arena {
  readonly worker: TestWorker;

  private constructor(worker: TestWorker) {
    this.worker = worker;
  }

  static async open(): Promise<Arena> {
    const worker = await TestWorker.start();
    await worker.deploy("neighbour", `export default () => new Response("here");`);
    return new Arena(worker);
  }

  /**
   * Deploys a function that does this when it is asked for /bad, calls it so while a neighbour is
   * called, and sees that the neighbour, the next call of the function, and the neighbour again are
   * answered.
   */
  async attack(name: string, bad: string, config: Config = {}, options: CallOptions = {}): Promise<Answered> {
    const { worker } = this;
    await worker.deploy(
      name,
      `${PRELUDE}
      export default { async fetch(request: Request, env: Record<string, string>, ctx: { waitUntil(p: Promise<unknown>): void }) {
        if (new URL(request.url).pathname.endsWith("/bad")) { ${bad} }
        return new Response("fine");
      } };`,
      { timeoutMs: stretched(30_000), ...config },
    );
    const neighbour = worker.call("neighbour");
    const answered = await worker.call(name, { path: "/bad", ...options });
    assert.equal((await neighbour).text, "here");
    assert.equal((await worker.call(name)).text, "fine");
    assert.equal((await worker.call("neighbour")).text, "here");
    return answered;
  }

  close(): Promise<void> {
    return this.worker.stop();
  }
}
