/**
 * One connection that TLS ends in: requests of the sandbox come out of one TLS, and go into another
 * one to the host, with what is injected. Both sides are bytes that the relay carries.
 */
import { Agent, type IncomingMessage, request as makeRequest, type ServerResponse } from "node:http";
import { Socket } from "node:net";
import { pipeline } from "node:stream";
import { connect, type SecureContext, TLSSocket } from "node:tls";
import type { EgressInjection, EgressRefusal } from "../contract/egress.ts";
import type { CarryWord } from "../protocol/injector.ts";
import type { Authority } from "./authority.ts";
import { requestFields, responseFields, valuesOf } from "./header-fields.ts";
import { refuse } from "./refusal.ts";
import { judgeRequest, type RequestRefusal } from "./request-check.ts";

/** Inside of TLS nothing else is spoken, on either side. */
const PROTOCOLS = ["http/1.1"];
const HANDSHAKE_MS = 10_000;

/** The parts that all connections have in common. */
export interface InjectorParts {
  authority: Authority;
  /** A client's side of TLS that knows who vouches for hosts. */
  trust: SecureContext;
  /** Has requests come out of a connection. */
  serve: (near: TLSSocket, connection: InjectedConnection) => void;
}

export interface InjectedConnectionOptions {
  id: number;
  rule: EgressInjection;
  /** Descriptors of the sandbox's side and of the host's. */
  fds: readonly [number, number];
  parts: InjectorParts;
  say: (word: CarryWord) => void;
}

export class InjectedConnection {
  readonly #id: number;
  readonly #rule: EgressInjection;
  readonly #parts: InjectorParts;
  readonly #say: (word: CarryWord) => void;
  readonly #ends: readonly [Socket, Socket];
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #near: TLSSocket | undefined;
  #far: TLSSocket | undefined;
  /** The request that is answered. */
  #current: ServerResponse | undefined;

  constructor({ id, rule, fds, parts, say }: InjectedConnectionOptions) {
    this.#id = id;
    this.#rule = rule;
    this.#parts = parts;
    this.#say = say;
    this.#ends = [new Socket({ fd: fds[0] }), new Socket({ fd: fds[1] })];
    const closed = this.#ends.map(
      (end) => new Promise((resolve) => end.on("error", () => this.end()).on("close", resolve)),
    );
    void Promise.all(closed).then(() => say({ is: "ended", id }));
    this.#ends[0].on("close", () => this.end());
  }

  /** Carries it until both sides are closed. The host shows who it is before anything is served. */
  start(): void {
    this.#secureFar((far, refusal) => {
      if (refusal !== null) return void this.#fail(refusal);
      this.#far = far;
      this.#agent.createConnection = () => far;
      far.on("close", () => this.#farClosed());
      this.#say({ is: "opened", id: this.#id });
      this.#secureNear((near) => this.#parts.serve(near, this));
    });
  }

  /** Closes both sides at once. */
  end(): void {
    this.#agent.destroy();
    for (const socket of [this.#near, this.#far, ...this.#ends]) socket?.destroy();
  }

  /** Takes a request that came. */
  take(request: IncomingMessage, response: ServerResponse): void {
    // Who sends another one before the answer may keep us busy without end. One that comes before
    // we know that the whole answer has left is a fast client's.
    if (this.#current?.writableEnded === false) return void this.end();
    this.#current = response.once("close", () => {
      if (this.#current === response) this.#current = undefined;
    });
    const refusal = this.judge(request);
    if (refusal !== null) return void this.refuse(response, refusal);
    if (request.headers.expect !== undefined) response.writeContinue();
    this.#pass(request, response);
  }

  judge(request: IncomingMessage): RequestRefusal | null {
    const { method = "", url: target = "", rawHeaders, headers } = request;
    const head = {
      method,
      target,
      hosts: valuesOf(rawHeaders, "host"),
      transferEncoding: headers["transfer-encoding"],
    };
    return judgeRequest(head, this.#rule);
  }

  /** Answers a request with why it is refused, and tells of it. */
  refuse(to: ServerResponse | Socket, refusal: RequestRefusal): void {
    const { verdict, why } = refusal;
    this.#say({ is: "refused", id: this.#id, verdict, why });
    refuse(to, refusal);
  }

  /** @param done is called once, with why the host is not served if it is not */
  #secureFar(done: (far: TLSSocket, refusal: EgressRefusal | null) => void): void {
    const { name } = this.#rule;
    const far = connect({
      socket: this.#ends[1],
      host: name,
      servername: name,
      secureContext: this.#parts.trust,
      ALPNProtocols: PROTOCOLS,
    });
    const settle = settleOnce<EgressRefusal | null>("host_tls_failed", (refusal) => done(far, refusal));
    far.once("secureConnect", () => settle(null));
    far.on("error", () => settle(far.authorizationError ? "invalid_certificate" : "host_tls_failed"));
    far.on("close", () => settle("host_tls_failed"));
  }

  #secureNear(done: (near: TLSSocket) => void): void {
    const near = new TLSSocket(this.#ends[0], {
      isServer: true,
      secureContext: this.#parts.authority.contextOf(this.#rule.name),
      ALPNProtocols: PROTOCOLS,
    });
    this.#near = near;
    const settle = settleOnce(false, (isSecure) => {
      if (isSecure) return void done(near);
      const why = `The client did not go on with TLS: it must trust Node's default certificates, and speak HTTP/1.1, as fetch and node:https do.`;
      this.#say({ is: "refused", id: this.#id, verdict: "client_tls_failed", why });
      this.end();
    });
    near.once("secure", () => settle(true));
    near.on("error", () => settle(false));
    near.on("_tlsError", () => settle(false));
    near.on("close", () => settle(false));
  }

  #fail(verdict: EgressRefusal): void {
    this.#say({ is: "failed", id: this.#id, verdict });
    this.end();
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    const { method = "", url = "", rawHeaders, headers } = request;
    const isChunked = headers["transfer-encoding"] !== undefined;
    const fields = requestFields(rawHeaders, this.#rule, { contentLength: headers["content-length"], isChunked });
    const upstream = makeRequest({ agent: this.#agent, method, path: url, headers: fields });
    upstream.once("response", (answer) => this.#answer(answer, response, upstream));
    upstream.on("upgrade", () => this.end());
    upstream.on("error", () => this.end());
    response.once("close", () => {
      if (!response.writableFinished || !upstream.writableFinished) this.#finish(response);
    });
    if (!isChunked && headers["content-length"] === undefined) {
      request.resume();
      upstream.end();
      return;
    }
    // A host may answer, and close, before it has read all.
    pipeline(request, upstream, (error) => {
      if (error && !response.headersSent) this.end();
    });
  }

  #answer(answer: IncomingMessage, response: ServerResponse, upstream: { shouldKeepAlive: boolean }): void {
    const { statusCode = 502, statusMessage = "", rawHeaders, headers } = answer;
    response.sendDate = false;
    response.shouldKeepAlive &&= upstream.shouldKeepAlive;
    try {
      response.writeHead(statusCode, statusMessage, responseFields(rawHeaders, headers["content-length"]));
    } catch {
      return void this.end();
    }
    pipeline(answer, response, (error) => {
      if (error) this.end();
    });
  }

  /** The answer is over before its request: what is left of both is for nobody. */
  #finish(response: ServerResponse): void {
    if (response.writableFinished) this.#near?.destroySoon();
    else this.end();
  }

  #farClosed(): void {
    const current = this.#current;
    if (current === undefined) this.#near?.destroySoon();
    else current.once("close", () => this.#near?.destroySoon());
  }
}

/** Calls it with what comes first, and with `late` when nothing comes in time. */
function settleOnce<T>(late: T, done: (value: T) => void): (value: T) => void {
  let isSettled = false;
  const settle = (value: T) => {
    clearTimeout(timer);
    if (isSettled) return;
    isSettled = true;
    done(value);
  };
  const timer = setTimeout(() => settle(late), HANDSHAKE_MS);
  return settle;
}
