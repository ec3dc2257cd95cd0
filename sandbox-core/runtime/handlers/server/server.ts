/**
 * Handlers that are servers: a module listens, as it would on a machine of its own, and each call
 * is a request to it over the loopback of the sandbox.
 */
import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { requireBuiltin } from "../../builtins.ts";
import type { Handler, HandlerCall, HandlerReply } from "../handler.ts";
import { WrittenReply } from "../written-reply.ts";
import { type AnswerHead, AnswerReader, type AnswerTaker, BadAnswer } from "./server-answer.ts";
import { type ConnectionUser, ServerConnection } from "./server-connection.ts";
import { isPlainHttp, type Listener, type Listeners, speaksTls } from "./server-listeners.ts";
import { type BodyFraming, chunkOf, type ServerRequest, serverRequest } from "./server-request.ts";

// Captured before tenant code.
const now = performance.now.bind(performance);

/** An idle connection is not used after this: servers end theirs after some seconds. */
const LONGEST_IDLE_MS = 1_000;

/** Most connections for one call. */
const MOST_TRIES = 3;

/** The connection of the last call, which the next one may use. */
interface Kept {
  connection: ServerConnection;
  listener: Listener;
  sinceMs: number;
}

/**
 * A handler that passes calls on to the server that listens.
 * @throws TypeError when that speaks TLS
 */
export function serverHandler(listeners: Listeners): Handler {
  const { name } = usable(listeners.chosen);
  const calls = new ServerCalls(listeners, name);
  const handler: Handler = (call) => calls.pass(call);
  handler.words = `server on ${name}`;
  return handler;
}

function usable(listener: Listener | null): Listener {
  if (listener === null) throw new TypeError("No server listens.");
  if (!speaksTls(listener)) return listener;
  throw new TypeError(
    `The module's server on ${listener.name} speaks TLS, and requests come to it in plain HTTP: ` +
      "the gateway, or a proxy before it, ends TLS. Listen with a server of node:http.",
  );
}

class ServerCalls {
  readonly #listeners: Listeners;
  readonly #name: string;
  #kept: Kept | null = null;
  /** The call that runs, and its exchange. */
  #exchange: Exchange | null = null;
  /** The reasons that go without saying. */
  readonly #reasons: Reasons;

  constructor(listeners: Listeners, name: string) {
    this.#listeners = listeners;
    this.#name = name;
    this.#reasons = (requireBuiltin("node:http") as typeof import("node:http")).STATUS_CODES;
    // Published by each server of node:http before it tells its own listeners of a request.
    subscribe("http.server.request.start", (message) => {
      this.#exchange?.begun((message as { socket: Socket }).socket);
    });
  }

  /** Passes a call on. Rejects with what is wrong with the server or its answer. */
  async pass(call: HandlerCall): Promise<HandlerReply> {
    const request = serverRequest(call);
    for (let tries = 1; ; tries++) {
      const listener = this.#listeners.chosen;
      if (listener === null) throw this.#leave(call, new ServerGone(this.#name));
      const kept = request.rest === null ? this.#takeKept(listener) : null;
      const exchange = this.#begin({ call, request, listener }, kept ?? new ServerConnection(listener.target));
      try {
        return await exchange.reply();
      } catch (error) {
        if (error instanceof ServerGone) this.#follow({ call, request, listener }, error, tries);
        // The server ended an idle connection as the request was on its way, and never saw it.
        else if (kept === null || exchange.hasBegun || !(error instanceof Unanswered)) throw error;
      }
    }
  }

  /** Finds where a server of a thread's listens now. @throws the error when there is none */
  #follow({ call, request, listener }: Asked, error: ServerGone, tries: number): void {
    // A body that follows is sent as it comes, and gone.
    const mayRepeat = request.rest === null && tries < MOST_TRIES;
    if (!mayRepeat || !this.#listeners.replace(listener)) throw this.#leave(call, error);
  }

  #begin(asked: Asked, connection: ServerConnection): Exchange {
    const { call, listener } = asked;
    const exchange = new Exchange({ ...asked, connection, reasons: this.#reasons });
    this.#exchange = exchange;
    exchange.onOver = (isReusable) => {
      this.#exchange = null;
      if (isReusable && isPlainHttp(listener.server)) this.#kept = { connection, listener, sinceMs: now() };
      else connection.destroy();
      // In plain Node a process without its server ends, or is ended.
      if (this.#listeners.chosen === null) this.#leave(call, new ServerGone(listener.name));
    };
    return exchange;
  }

  /**
   * Has this process end with the call: it would fail every call that comes, where a fresh one
   * answers.
   */
  #leave(call: HandlerCall, reason: ServerGone): ServerGone {
    call.leave(`${reason.message} This instance ends, and calls go to others.`);
    return reason;
  }

  #takeKept(listener: Listener): ServerConnection | null {
    const kept = this.#kept;
    this.#kept = null;
    if (kept === null) return null;
    const { connection } = kept;
    const isFresh = now() - kept.sinceMs < LONGEST_IDLE_MS && kept.listener.server === listener.server;
    if (connection.isOpen && isFresh) return connection;
    connection.destroy();
    return null;
  }
}

type Reasons = Record<number, string | undefined>;

/** A call, and who is to answer it. */
interface Asked {
  call: HandlerCall;
  request: ServerRequest;
  listener: Listener;
}

interface ExchangeParts extends Asked {
  connection: ServerConnection;
  reasons: Reasons;
}

/** One request and its answer. */
class Exchange implements ConnectionUser, AnswerTaker {
  /** Told that the connection is used no more, and whether another request may follow on it. */
  onOver: (isReusable: boolean) => void = () => {};
  readonly #call: HandlerCall;
  readonly #request: ServerRequest;
  readonly #connection: ServerConnection;
  readonly #listener: Listener;
  readonly #reader: AnswerReader;
  readonly #reasons: Reasons;
  readonly #written = new WrittenReply((reason) => this.#fail(reason as Error));
  #hasBegun = false;
  #hasSent = false;
  #hasHeard = false;
  #isOver = false;

  constructor({ call, request, connection, listener, reasons }: ExchangeParts) {
    this.#call = call;
    this.#request = request;
    this.#connection = connection;
    this.#listener = listener;
    this.#reasons = reasons;
    this.#reader = new AnswerReader(call.request.method, this);
  }

  /** Whether the server's code has seen the request. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** A server of node:http begins a request on a socket. */
  begun(socket: Socket): void {
    // A request that the function sends to itself belongs to the call as well.
    this.#call.enter();
    const { localPort } = this.#connection;
    if (localPort === undefined || socket.remotePort === localPort) this.#hasBegun = true;
  }

  reply(): Promise<HandlerReply> {
    const connection = this.#connection;
    connection.use(this);
    this.#call.whenCancelled((reason) => this.#fail(reason));
    const { first, rest } = this.#request;
    void connection.write(first);
    if (rest === null) this.#hasSent = true;
    else void this.#sendBody(rest);
    return this.#written.reply;
  }

  data(bytes: Buffer): void {
    this.#hasHeard = true;
    try {
      this.#reader.push(bytes);
      if (this.#reader.isDone) this.#end();
    } catch (error) {
      this.#fail(this.#blamed(error));
    }
  }

  closed(error: NodeJS.ErrnoException | null): void {
    try {
      if (!this.#hasHeard) throw this.#whyUnanswered(error);
      this.#reader.close();
      this.#end();
    } catch (cause) {
      this.#fail(this.#blamed(cause));
    }
  }

  head({ status, reason, headers }: AnswerHead): void {
    this.#written.begin({ status, statusText: reason === this.#reasons[status] ? "" : reason, headers });
    // The head of an answer leaves before its body does.
    this.#written.write(NOTHING, () => {});
  }

  body(bytes: Uint8Array): void {
    let isPaused: boolean | null = null;
    this.#written.write(bytes, () => {
      if (isPaused) this.#connection.resume();
      isPaused = false;
    });
    if (isPaused === false) return;
    isPaused = true;
    this.#connection.pause();
  }

  #end(): void {
    // A server that answers before it has read all of a body wants no more of it.
    this.#leaveConnection(this.#hasSent && this.#reader.mayFollow);
    this.#written.end();
  }

  /** Once: the connection may be the next call's by the time at which a body or a client fails. */
  #leaveConnection(isReusable: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#connection.use(null);
    this.onOver(isReusable);
  }

  async #sendBody(framing: BodyFraming): Promise<void> {
    const { body } = this.#call;
    let missing = framing === "chunks" ? Number.POSITIVE_INFINITY : framing.bytes;
    try {
      for (let piece = await body.next(); piece !== null; piece = await body.next()) {
        missing -= piece.length;
        if (missing < 0) throw new Error("More of the request's body came than its content-length says.");
        await this.#connection.write(framing === "chunks" ? chunkOf(piece) : piece);
        if (!this.#connection.isOpen) return;
      }
      if (framing === "chunks") await this.#connection.write(chunkOf(NOTHING));
      else if (missing > 0) throw new Error("Less of the request's body came than its content-length says.");
      this.#hasSent = true;
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#leaveConnection(false);
    this.#written.fail(error);
  }

  #blamed(error: unknown): Error {
    if (!(error instanceof BadAnswer)) return error as Error;
    return new BadAnswer(`The function's server on ${this.#listener.name} ${error.message}.`);
  }

  #whyUnanswered(error: NodeJS.ErrnoException | null): Error {
    const { name } = this.#listener;
    const code = error?.code ?? "";
    if (code === "ECONNREFUSED" || code === "ENOENT") return new ServerGone(name);
    if (error?.syscall === "connect" || code === "EMFILE") {
      return new Error(`The function's server on ${name} cannot be connected to: ${code}.`, { cause: error });
    }
    return new Unanswered(name);
  }
}

const NOTHING = new Uint8Array(0);

/** No server listens any more. */
class ServerGone extends Error {
  override name = "ServerGone";

  constructor(name: string) {
    super(`The function's server on ${name} no longer listens. It has to stay open from call to call.`);
  }
}

/** The connection ended, and not a byte of an answer came. */
class Unanswered extends Error {
  override name = "Unanswered";

  constructor(name: string) {
    super(`The function's server on ${name} ended the connection without an answer.`);
  }
}
