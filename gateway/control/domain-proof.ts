/** The DNS record that proves a domain to be a tenant's. */
import { Resolver } from "node:dns/promises";
import { proofName } from "../../functions/model/domains.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { Domain } from "../../functions/store/domains/domains.ts";

/** Longest time of a look-up with all attempts, and of its first attempt. */
const LOOKUP_MS = 8_000;
const ATTEMPT_MS = 2_000;
const ATTEMPTS = 2;
/** The DNS says that there is no such name, or no such record. */
const NONE = new Set(["ENOTFOUND", "ENODATA"]);

/**
 * Looks the TXT record of a domain up: one of several is to be the token, nothing around it.
 * @param server address and port of the resolver; null: those of the machine
 * @throws SandpiperError DOMAIN_NOT_PROVEN, DOMAIN_LOOKUP_FAILED
 */
export async function checkRecord({ name, token }: Pick<Domain, "name" | "token">, server: string | null) {
  const resolver = new Resolver({ timeout: ATTEMPT_MS, tries: ATTEMPTS });
  if (server !== null) resolver.setServers([server]);
  const timer = setTimeout(() => resolver.cancel(), LOOKUP_MS);
  const texts = await textsAt(resolver, name).finally(() => clearTimeout(timer));
  if (texts.includes(token)) return;
  const others = texts.length === 0 ? "there is none" : `${texts.length} others are there`;
  const message = `The DNS has no TXT record ${proofName(name)} with the value ${token}: ${others}.`;
  throw new SandpiperError("DOMAIN_NOT_PROVEN", { message });
}

async function textsAt(resolver: Resolver, name: string): Promise<string[]> {
  try {
    // A record longer than 255 bytes comes in pieces (RFC 1035, section 3.3.14).
    return (await resolver.resolveTxt(proofName(name))).map((pieces) => pieces.join(""));
  } catch (cause) {
    const code = String((cause as NodeJS.ErrnoException).code);
    if (NONE.has(code)) return [];
    const message = `The DNS did not answer for ${proofName(name)} (${code.slice(0, 40)}), so nothing is known of it.`;
    throw new SandpiperError("DOMAIN_LOOKUP_FAILED", { message, cause });
  }
}
