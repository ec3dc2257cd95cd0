/**
 * Domain names of tenants: host names beside a function's own, which answer after a proof that the
 * tenant controls their DNS.
 */
import { isIP } from "node:net";
import { domainToASCII } from "node:url";

/** The label below which a domain's TXT record is looked up. */
const PROOF_LABEL = "_sandpiper";
/** Longest name that has room for that label (RFC 1035, section 2.3.4). */
const MAX_DOMAIN_LENGTH = 253 - PROOF_LABEL.length - ".".length;
const MAX_TEXT_LENGTH = 1_000;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Characters by which a URL has more than a host, or a host is written in another way. */
const NO_HOST = /[\s\p{Cc}/\\:@?#%[\]]/u;

/** Ways of a proof: a DNS record, or the word of the operator. */
export const PROOFS = ["dns", "operator"] as const;
export type Proof = (typeof PROOFS)[number];

/**
 * A domain's name as it is kept: in lower case, without the dot of the root, with letters beyond
 * ASCII in their encoding (`xn--`), in which look-alikes differ. Or what is wrong with it, as the
 * end of a sentence.
 */
export function readDomain(text: string): { name: string } | { problem: string } {
  if (text.length > MAX_TEXT_LENGTH || NO_HOST.test(text)) return { problem: "a host name alone, such as example.com" };
  if (text.includes("*")) return { problem: "one host name; each host of a wildcard is added by itself" };
  const name = domainToASCII(text).replace(/\.$/, "");
  if (isIP(name) !== 0) return { problem: "a name, and no address" };
  const labels = name.split(".");
  if (labels.length < 2) return { problem: "a name of two labels at least, such as example.com" };
  if (labels.at(-1) === "localhost") return { problem: "a name that leads here: localhost is each machine's own" };
  if (name.length > MAX_DOMAIN_LENGTH) return { problem: `a name of ${MAX_DOMAIN_LENGTH} characters at most` };
  const isName = labels.every((label) => LABEL.test(label)) && URL.canParse(`http://${name}/`);
  return isName ? { name } : { problem: "labels of letters, digits and '-', neither first nor last a '-'" };
}

/** The name at which a domain's TXT record is looked up. */
export function proofName(domain: string): string {
  return `${PROOF_LABEL}.${domain}`;
}
