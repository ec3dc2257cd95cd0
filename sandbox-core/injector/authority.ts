/**
 * The authority of one start: sandboxes that are injected for trust it, and it vouches for their
 * hosts. Its key is made here and is nowhere else.
 */
import { constants, generateKeyPairSync } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { makeCertificate } from "./certificate.ts";

const DAY_MS = 86_400_000;
/** Clocks of sandboxes are the machine's, which may be set back a little. */
const BEFORE_MS = DAY_MS;
const AUTHORITY_MS = 3_650 * DAY_MS;
/** A host's certificate holds for so long, and is made anew well before its end. */
const [HOST_MS, RENEWED_MS] = [90 * DAY_MS, 45 * DAY_MS];
const MOST_HOSTS = 1_024;
const NAME = "Sandpiper egress";
/** A connection that begins anew, or a session that is resumed, has no use here. */
const OPTIONS = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET;

export class Authority {
  /** As PEM. */
  readonly certificate: string;
  readonly #keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  /** One for all hosts: none of them is further away than another. */
  readonly #hostKeys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  readonly #contexts = new Map<string, { context: SecureContext; untilMs: number }>();

  constructor() {
    this.certificate = this.#certify(null, AUTHORITY_MS);
  }

  /** A server's side of TLS that is the host of this name. */
  contextOf(host: string): SecureContext {
    const known = this.#contexts.get(host);
    if (known && Date.now() < known.untilMs) return known.context;
    this.#contexts.delete(host);
    const context = createSecureContext({
      cert: this.#certify(host, HOST_MS),
      key: this.#hostKeys.privateKey.export({ format: "pem", type: "pkcs8" }),
      minVersion: "TLSv1.2",
      secureOptions: OPTIONS,
    });
    this.#contexts.set(host, { context, untilMs: Date.now() + RENEWED_MS });
    if (this.#contexts.size > MOST_HOSTS) this.#contexts.delete(this.#contexts.keys().next().value as string);
    return context;
  }

  #certify(host: string | null, lifeMs: number): string {
    const nowMs = Date.now();
    return makeCertificate({
      subject: host === null ? NAME : `${NAME} host`,
      issuer: NAME,
      publicKey: (host === null ? this.#keys : this.#hostKeys).publicKey,
      issuerPublicKey: this.#keys.publicKey,
      issuerKey: this.#keys.privateKey,
      host,
      fromMs: nowMs - BEFORE_MS,
      untilMs: nowMs + lifeMs,
    });
  }
}
