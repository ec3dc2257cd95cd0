/** gRPC, S3 and mail, by the servers that npm has for their protocols. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { documentedExample } from "../document.ts";
import type { ClientExample, Place } from "../example.ts";
import { listen } from "../program.ts";

const PASSWORD = "s3cret";

/** The used part of the package `@grpc/grpc-js`. */
interface Grpc {
  Server: new () => {
    addService(service: unknown, handlers: Record<string, unknown>): void;
    bindAsync(at: string, credentials: unknown, done: (error: Error | null) => void): void;
    forceShutdown(): void;
  };
  ServerCredentials: { createSsl(roots: null, pairs: { private_key: Buffer; cert_chain: Buffer }[]): unknown };
  loadPackageDefinition(definition: unknown): { shop: { Orders: { service: unknown } } };
}

const GRPC: ClientExample = {
  name: "grpc",
  title: "gRPC",
  packages: ["@grpc/grpc-js@1.14.7", "@grpc/proto-loader@0.8.1"],
  hosts: ["grpc.example.com"],
  secrets: {},
  async start({ address, directory, tls, load }) {
    const grpc = load("@grpc/grpc-js") as Grpc;
    const { loadSync } = load("@grpc/proto-loader") as { loadSync(path: string): unknown };
    const description = join(directory, "orders.proto");
    writeFileSync(description, documentedExample("gRPC").files["orders.proto"] as string);
    const server = new grpc.Server();
    const count = (call: { request: { item: string } }, answer: (error: null, total: { orders: number }) => void) =>
      answer(null, { orders: call.request.item.length });
    server.addService(grpc.loadPackageDefinition(loadSync(description)).shop.Orders.service, { count });
    const pair = { private_key: readFileSync(tls.key), cert_chain: readFileSync(tls.cert) };
    const credentials = grpc.ServerCredentials.createSsl(null, [pair]);
    await promisify(server.bindAsync.bind(server))(`${address}:443`, credentials);
    return { stop: () => server.forceShutdown() };
  },
  answers: ['{"orders":6}', '{"orders":6}'],
};

/** The used part of the package `s3rver`. */
type S3rver = new (options: Record<string, unknown>) => { run(): Promise<unknown>; close(): Promise<void> };

const S3: ClientExample = {
  name: "s3",
  title: "S3",
  packages: ["@aws-sdk/client-s3@3.1175.0", "s3rver@3.7.1"],
  hosts: ["s3.example.com", "invoices.s3.example.com"],
  secrets: { AWS_ACCESS_KEY_ID: "S3RVER", AWS_SECRET_ACCESS_KEY: "S3RVER" },
  async start({ address, directory, tls, load }) {
    const server = new (load("s3rver") as S3rver)({
      ...{ address, port: 443, directory, silent: true, serviceEndpoint: "example.com" },
      ...{ key: readFileSync(tls.key), cert: readFileSync(tls.cert), configureBuckets: [{ name: "invoices" }] },
    });
    await server.run();
    return { stop: () => server.close() };
  },
  answers: ["paid", "paid"],
};

/** The used part of the package `smtp-server`. */
interface Mail {
  SMTPServer: new (options: Record<string, unknown>) => { server: Server; close(done: () => void): void };
}

async function startMail({ address, tls, load }: Place) {
  const letters: string[] = [];
  const { SMTPServer } = load("smtp-server") as Mail;
  const server = new SMTPServer({
    ...{ key: readFileSync(tls.key), cert: readFileSync(tls.cert) },
    onAuth(login: { username: string; password: string }, _session: unknown, done: (...result: unknown[]) => void) {
      const isRight = login.username === "shop" && login.password === PASSWORD;
      done(isRight ? null : new Error("wrong"), { user: login.username });
    },
    onData(stream: NodeJS.ReadableStream, session: { secure: boolean }, done: () => void) {
      void text(stream).then((letter) => {
        letters.push(`${session.secure ? "secure" : "in clear"}\n${letter}`);
        done();
      });
    },
  });
  await listen(server.server, address, 587);
  return {
    stop: () => new Promise<void>((resolve) => server.close(resolve)),
    check() {
      assert.equal(letters.length, 2);
      for (const letter of letters) assert.match(letter, /^secure\n.*Subject: Your order.*It is on its way\./s);
    },
  };
}

const MAIL: ClientExample = {
  name: "mail",
  title: "Mail",
  packages: ["nodemailer@10.6.1", "smtp-server@3.21.6"],
  hosts: ["mail.example.com"],
  secrets: { MAIL_PASSWORD: PASSWORD },
  start: startMail,
  answers: ['{"accepted":["ada@example.com"]}', '{"accepted":["ada@example.com"]}'],
};

export const SERVICES: readonly ClientExample[] = [GRPC, S3, MAIL];
