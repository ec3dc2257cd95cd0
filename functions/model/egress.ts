/**
 * Where a function may connect to, as its manifest declares it and as operators grant it: the
 * grammar of one rule. A rule is a name, an address or `public`, with a port.
 */
import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { formatNetwork, type IpNetwork, readNetwork } from "./ip-network.ts";
import { refusedRangeOf } from "./refused-ranges.ts";

/** Where a rule leads to. Names are in lower case and in punycode; a suffix begins with a ".". */
export type EgressTarget =
  | { kind: "name"; name: string }
  | { kind: "suffix"; suffix: string }
  | { kind: "network"; network: IpNetwork }
  | { kind: "public" };

export interface EgressRule {
  to: EgressTarget;
  ports: readonly number[] | "any";
}

/** The author of a rule: operators may name networks, any port, and `public` with a port. */
export type RuleAuthor = "function" | "operator";

/** The port of a rule that names none. */
export const DEFAULT_PORT = 443;
/** The ports of `public`. */
export const PUBLIC_PORTS: readonly number[] = [80, 443];
/** Nobody sends mail from server to server here. */
const MAIL_PORT = 25;

const MAX_NAME_LENGTH = 253;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** Names of RFC 6761 and of machines that mean loopback. */
const LOOPBACK_NAME = /^(?:.+\.)?localhost$|^localhost\.localdomain$|^ip6-(?:localhost|loopback)$/;
const PORT = /^(?:0|[1-9]\d*)$/;

/**
 * One rule out of its text, or a sentence on what is wrong with it and what to write instead.
 */
export function readRule(text: string, author: RuleAuthor): EgressRule | string {
  const problem = shapeProblem(text);
  if (problem !== null) return problem;
  const parts = hostAndPort(text);
  if (typeof parts === "string") return parts;
  const to = readTarget(parts.host, author);
  if (typeof to === "string") return to;
  const given = parts.port;
  if (given === null) return { to, ports: to.kind === "public" ? PUBLIC_PORTS : [DEFAULT_PORT] };
  if (given === "*" && author === "operator") return { to, ports: "any" };
  return portProblem(given, to, author) ?? { to, ports: [Number(given)] };
}

/** A rule as its author would write it, shortest: rules that mean the same have the same text. */
export function formatRule({ to, ports }: EgressRule): string {
  const host = formatTarget(to);
  if (ports === "any") return `${host}:*`;
  const [port] = ports;
  const isDefault = to.kind === "public" ? ports === PUBLIC_PORTS : port === DEFAULT_PORT;
  return isDefault ? host : `${host}:${port}`;
}

/** The host of a rule, without its port. */
function formatTarget(to: EgressTarget): string {
  if (to.kind === "public") return "public";
  if (to.kind === "name") return to.name;
  if (to.kind === "suffix") return `*${to.suffix}`;
  const text = formatNetwork(to.network);
  return to.network.family === 6 ? `[${text}]` : text;
}

/** The fault of a text that people paste although it is no host, or null. */
function shapeProblem(text: string): string | null {
  if (text === "") return "a rule is a name (api.example.com), an address, or public";
  if (/[\s\p{Cc}]/u.test(text)) return "a rule has no spaces: one host, and a port after a ':' if it is not 443";
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? URL.parse(text) : null;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    const host = url?.host ? `: "${withPortOf(url)}"` : "";
    return `it is a URL; write its host, and its port if that is not 443${host}`;
  }
  if (text.includes("@")) return "it has a user before the '@'; write the host alone, and the password into a secret";
  return null;
}

/** Ports that the schemes of URLs stand for, where people leave them out. */
const SCHEME_PORTS: Readonly<Record<string, number>> = {
  "http:": 80,
  "postgres:": 5432,
  "postgresql:": 5432,
  "mysql:": 3306,
  "redis:": 6379,
  "rediss:": 6379,
  "mongodb:": 27_017,
  "amqp:": 5672,
  "smtp:": 587,
};

function withPortOf({ protocol, hostname, port }: URL): string {
  const number = port === "" ? (SCHEME_PORTS[protocol] ?? DEFAULT_PORT) : Number(port);
  return number === DEFAULT_PORT ? hostname : `${hostname}:${number}`;
}

/** The two parts of a rule; the port is null when there is none. */
function hostAndPort(text: string): { host: string; port: string | null } | string {
  const bracketed = /^\[([^\]]*)\](?:\/(\d+))?(?::(.*))?$/.exec(text);
  if (bracketed) {
    const [, address = "", prefix, port = null] = bracketed;
    if (isIP(address.split("/")[0] ?? "") !== 6) return "only an address of IPv6 stands in brackets";
    return { host: prefix === undefined ? address : `${address}/${prefix}`, port };
  }
  if (isIP(text.split("/")[0] ?? "") === 6) return `an IPv6 address stands in brackets: [${text}]`;
  const colon = text.indexOf(":");
  return colon < 0 ? { host: text, port: null } : { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

function readTarget(host: string, author: RuleAuthor): EgressTarget | string {
  if (host === "public") return { kind: "public" };
  const address = host.split("/")[0] ?? "";
  if (isIP(address) !== 0) return readAddress(host, author);
  if (/^[\d./]+$/.test(host)) return `${JSON.stringify(host)} is no address: IPv4 has four numbers from 0 to 255`;
  if (host.includes("/")) return "it has a path; write the host alone. What is asked of it, no rule says";
  if (!host.includes("*")) return readName(host);
  if (!/^\*\.[^*]+$/.test(host)) return wildcardProblem(host);
  const name = readName(host.slice(2));
  if (typeof name === "string") return name;
  if (!name.name.includes(".")) return `"${host}" is all of a top-level domain; name a domain below it, or public`;
  return { kind: "suffix", suffix: `.${name.name}` };
}

function wildcardProblem(host: string): string {
  if (host === "*") return 'a "*" alone is no rule; "public" is every public address on the ports 80 and 443';
  return 'a "*" stands for whole labels at the beginning, as in "*.example.com"; name the hosts one by one otherwise';
}

function readAddress(host: string, author: RuleAuthor): EgressTarget | string {
  const network = readNetwork(host);
  if (network === null) return `${JSON.stringify(host)} is no address, and no network whose further bits are zero`;
  const isAddress = !host.includes("/");
  if (!isAddress && author === "function") {
    return "a network cannot be declared, one address can; better a name, which may change its address";
  }
  const refused = refusedRangeOf(network);
  if (network.family === 6 && author === "function") {
    return "an address of version 6 cannot be declared; declare a name that leads to it";
  }
  if (formatNetwork(network).startsWith("127.") && author === "function") {
    return `${host} is the sandbox itself, which a function reaches without any rule; nothing of the host's is there`;
  }
  // Nobody could grant it: the author learns at once.
  if (refused !== null && !refused.grantable && author === "function") {
    return `${host} is ${refused.what} (${refused.range}), which nobody reaches`;
  }
  return { kind: "network", network };
}

function readName(host: string): { kind: "name"; name: string } | string {
  const given = host.replace(/\.$/, "");
  // A name of RFC 8552 with "_" is one that can be looked up, and is none for URLs.
  const name = /^[\x20-\x7e]*$/.test(given) ? given.toLowerCase() : domainToASCII(given);
  if (LOOPBACK_NAME.test(name)) {
    return `"${host}" is the sandbox itself, which a function reaches without any rule; nothing of the host's is there`;
  }
  const labels = name.split(".");
  if (name === "" || name.length > MAX_NAME_LENGTH || !labels.every((label) => LABEL.test(label))) {
    return `${JSON.stringify(host)} is no host name: letters, digits and "-" between dots, as in api.example.com`;
  }
  if (/^(?:\d+|0x[\da-f]*)$/.test(labels.at(-1) ?? "")) return `"${host}" ends like an address and is none`;
  return { kind: "name", name };
}

function portProblem(port: string, to: EgressTarget, author: RuleAuthor): string | null {
  if (to.kind === "public" && author === "function") {
    return 'public is the ports 80 and 443 and has no other; name the host, as in "db.example.com:5432"';
  }
  if (/^\d+-\d+$/.test(port)) return "a rule has one port; write a rule for each port that is used";
  if (port === "*") return "a rule has one port, and a '*' is none; write a rule for each port that is used";
  if (port.includes("/")) return "it has a path; write the host and the port alone";
  if (!PORT.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    return `${JSON.stringify(port)} is no port: a port is a number from 1 to 65535`;
  }
  if (Number(port) !== MAIL_PORT) return null;
  return "port 25 is refused for everybody, as spam leaves by it; mail is submitted on 587 or 465";
}
