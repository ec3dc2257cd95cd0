/** Certificates for servers of tests, by an authority of the test's own. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { makeCertificate } from "../../sandbox-core/injector/certificate.ts";

const DAY_MS = 86_400_000;
const NAME = "a test's authority";

const makeKeys = () => generateKeyPairSync("ec", { namedCurve: "P-256" });

/** Key and certificate of a server of TLS, as PEM. */
export interface ServerCertificate {
  key: string;
  cert: string;
}

export class TestAuthority {
  /** As PEM. */
  readonly certificate: string;
  readonly #keys = makeKeys();

  constructor() {
    this.certificate = this.#make(this.#keys.publicKey, null, DAY_MS);
  }

  /** A certificate of a name, which holds for a day unless it is over already. */
  certify(name: string, { isOver = false } = {}): ServerCertificate {
    const { publicKey, privateKey } = makeKeys();
    const cert = this.#make(publicKey, name, isOver ? -1_000 : DAY_MS);
    return { cert, key: privateKey.export({ format: "pem", type: "pkcs8" }).toString() };
  }

  #make(publicKey: KeyObject, host: string | null, lifeMs: number): string {
    const nowMs = Date.now();
    return makeCertificate({
      subject: host ?? NAME,
      issuer: NAME,
      publicKey,
      issuerPublicKey: this.#keys.publicKey,
      issuerKey: this.#keys.privateKey,
      host,
      fromMs: nowMs - DAY_MS,
      untilMs: nowMs + lifeMs,
    });
  }
}
