/**
 * Names below localhost lead to this machine, as browsers and curl have them (RFC 6761, section
 * 6.3). Importing this has Node's own fetch do so as well: it asks getaddrinfo(3), which knows them
 * on few systems.
 */
import dns from "node:dns";

const { lookup } = dns;
const local = (hostname: string, ...rest: unknown[]): void =>
  Reflect.apply(lookup, dns, [hostname.endsWith(".localhost") ? "127.0.0.1" : hostname, ...rest]);

dns.lookup = Object.assign(local, lookup) as typeof lookup;
