/** Certificates (RFC 5280) with keys of the curve P-256: an authority's own, and those of hosts. */
import { createHash, type KeyObject, randomBytes, sign } from "node:crypto";
import { bitString, contextTag, der, identifier, sequence, TAG, utcTime } from "./der.ts";

export interface CertificateFacts {
  /** The subject: a common name. */
  subject: string;
  issuer: string;
  publicKey: KeyObject;
  issuerPublicKey: KeyObject;
  /** Signs it. */
  issuerKey: KeyObject;
  /** The host's name; null for an authority. */
  host: string | null;
  /** From when until when it holds, as `Date.now()`. */
  fromMs: number;
  untilMs: number;
}

const OID = {
  ecdsaWithSha256: "2a8648ce3d040302",
  commonName: "550403",
  subjectKeyIdentifier: "551d0e",
  keyUsage: "551d0f",
  subjectAltName: "551d11",
  basicConstraints: "551d13",
  authorityKeyIdentifier: "551d23",
  extendedKeyUsage: "551d25",
  serverAuth: "2b06010505070301",
} as const;

const VERSION_3 = der(contextTag(0, { isConstructed: true }), der(TAG.INTEGER, Buffer.of(2)));
const TRUE = der(TAG.BOOLEAN, Buffer.of(0xff));
/** Bits of a key's usage (RFC 5280, 4.2.1.3), with the number of unused ones behind them. */
const SIGNS_CERTIFICATES = bitString(Buffer.of(0b0000_0100), 2);
const SIGNS = bitString(Buffer.of(0b1000_0000), 7);
const NAME_OF_HOST = 2;
const SERIAL_BYTES = 16;

/** A certificate as PEM. */
export function makeCertificate(facts: CertificateFacts): string {
  const algorithm = sequence(identifier(OID.ecdsaWithSha256));
  const content = sequence(
    VERSION_3,
    serialNumber(),
    algorithm,
    nameOf(facts.issuer),
    sequence(utcTime(facts.fromMs), utcTime(facts.untilMs)),
    nameOf(facts.subject),
    facts.publicKey.export({ format: "der", type: "spki" }),
    der(contextTag(3, { isConstructed: true }), sequence(...extensionsOf(facts))),
  );
  const signed = sequence(content, algorithm, bitString(sign("sha256", content, facts.issuerKey)));
  const lines = signed.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function extensionsOf({ host, publicKey, issuerPublicKey }: CertificateFacts): Buffer[] {
  const issuer = der(contextTag(0, { isConstructed: false }), keyIdentifier(issuerPublicKey));
  const keys = [
    extension(OID.subjectKeyIdentifier, der(TAG.OCTET_STRING, keyIdentifier(publicKey))),
    extension(OID.authorityKeyIdentifier, sequence(issuer)),
  ];
  if (host === null) {
    return [...keys, critical(OID.basicConstraints, sequence(TRUE)), critical(OID.keyUsage, SIGNS_CERTIFICATES)];
  }
  const name = der(contextTag(NAME_OF_HOST, { isConstructed: false }), Buffer.from(host, "latin1"));
  return [
    ...keys,
    critical(OID.basicConstraints, sequence()),
    critical(OID.keyUsage, SIGNS),
    extension(OID.extendedKeyUsage, sequence(identifier(OID.serverAuth))),
    extension(OID.subjectAltName, sequence(name)),
  ];
}

function extension(oid: string, value: Buffer): Buffer {
  return sequence(identifier(oid), der(TAG.OCTET_STRING, value));
}

function critical(oid: string, value: Buffer): Buffer {
  return sequence(identifier(oid), TRUE, der(TAG.OCTET_STRING, value));
}

function nameOf(commonName: string): Buffer {
  const attribute = sequence(identifier(OID.commonName), der(TAG.UTF8_STRING, Buffer.from(commonName)));
  return sequence(der(TAG.SET, attribute));
}

/** Positive, and in the shortest form. */
function serialNumber(): Buffer {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return der(TAG.INTEGER, bytes);
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash("sha1")
    .update(key.export({ format: "der", type: "spki" }))
    .digest();
}
