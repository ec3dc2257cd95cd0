/** What whoever wrote a function can do about a refusal: a sentence for each. */
import type { EgressRefusal } from "../contract/egress.ts";

type Words = (host: string, port: number) => string;

const REMEDIES: Record<EgressRefusal, Words> = {
  undeclared_name: (host, port) => `Declare ${port > 0 ? `${host}:${port}` : host} as egress, if it is to be reached.`,
  undeclared_port: (host, port) => `Declare ${host}:${port} as egress: the host is declared, and not this port.`,
  undeclared_address: (host, port) =>
    `Connect to a name that is declared, or declare ${host}:${port} as egress. An address that stood for a name is good for as long as the name's answer: look the name up again.`,
  denied: (host) => `Ask the operator of the platform: ${host} is denied.`,
  private_address: (host) =>
    `Ask the operator of the platform for a grant of its range: ${host} is at an address that is not public.`,
  reserved_port: () => "Send mail over port 587 with a login: port 25 is closed.",
  platform_address: (host, port) => `Use the platform's own interfaces: ${host}:${port} is a part of it.`,
  unresolved: (host) => `Look at the spelling and at the name's records: no address is known for ${host}.`,
  unreachable: (host, port) => `See that something listens at ${host}:${port}, and that it is reachable from here.`,
  no_server_name: (host) => `Have the client name ${host} in its TLS hello (SNI), as all usual clients do.`,
  wrong_server_name: (host) => `Have the client name ${host} in its TLS hello (SNI): it named another host.`,
  encrypted_hello: () => "Switch encrypted client hellos (ECH) off in the client: the name has to be seen.",
  no_tls: (host) => `Speak TLS to ${host} on port 443, or declare another port for another protocol.`,
  slow_hello: () => "Send the TLS hello right after connecting.",
  too_many_connections: () => "Close connections, or keep fewer in pools: so many at once are allowed.",
  connection_rate: () => "Keep connections open for the next request: so many in a second are allowed.",
  relay_full: () => "Try again later: the machine has no more connections for this tenant.",
  tenant_connections: () =>
    "Close connections, also those of other functions: so many at once are allowed to a tenant.",
  tenant_rate: () => "Keep connections open for the next request: so many in a second are allowed to a tenant.",
  tenant_bytes: () => "Wait for the next hour, or move less data: the tenant's bytes of this one are used up.",
  relay_died: () => "Connect again: a part of Sandpiper's relay ended, and the function is not to blame.",
  invalid_certificate: (host) =>
    `See that ${host} has a valid certificate for this name, from an issuer that the machine trusts: nothing is injected for anybody else.`,
  host_tls_failed: (host) =>
    `See that ${host} speaks HTTP/1.1 over TLS 1.2 or later, as hosts must that are injected for.`,
  client_tls_failed: (host) => `Use a client that trusts Node's certificates, and speaks HTTP/1.1 to ${host}.`,
  method_refused: (host) => `Add the method to "methods" in the rule of ${host}.`,
  path_refused: (host) => `Add the path to "paths" in the rule of ${host}.`,
  wrong_host: (host) => `Name ${host} in requests over a connection to ${host}.`,
  upgrade_refused: (host) => `Send requests of HTTP/1.1 alone to ${host}.`,
  malformed_request: (host) => `Send requests of HTTP/1.1 to ${host}.`,
  bytes_used_up: () => "Move less data in one call: its bytes are used up.",
};

export function remedyOf(refusal: EgressRefusal, host: string, port: number): string {
  return REMEDIES[refusal](host, port);
}
