/** Failures of tenants' domain names: a part of the table of errors. */
import type { ErrorEntry } from "./error-entry.ts";

export const DOMAIN_ERRORS = {
  INVALID_DOMAIN: {
    status: 400,
    message: "The domain is none that a function can answer at.",
    fix: "Give one full host name, such as shop.example.com: no address, no wildcard, no name of the gateway or below the domain of functions.",
  },
  DOMAIN_NOT_FOUND: {
    status: 404,
    message: "The tenant has no such domain.",
    fix: "`sandpiper domain list` shows all; `sandpiper domain add` adds one.",
  },
  DOMAIN_NOT_PROVEN: {
    status: 409,
    message: "The DNS has no record that proves the domain to be the tenant's.",
    fix: "Make the TXT record that the message names, wait until the DNS shows it, and ask again: `sandpiper domain verify NAME`.",
  },
  DOMAIN_TAKEN: {
    status: 409,
    message: "The domain answers for somebody else.",
    fix: "Have whoever has it remove it. The operator can move it: `sandpiper domain verify NAME --tenant TENANT --verified --take`.",
  },
  DOMAIN_LOOKUP_FAILED: {
    status: 503,
    message: "The DNS did not answer, so nothing is known of the domain's record.",
    fix: "Ask again. When it lasts, look at the domain's name servers, and at the resolver of the gateway's machine or SANDPIPER_DOMAIN_RESOLVER.",
  },
  TOO_MANY_DOMAINS: {
    status: 409,
    message: "The tenant has as many domains as it may have.",
    fix: "Remove one that nobody needs: `sandpiper domain remove`. SANDPIPER_MAX_DOMAINS sets the limit.",
  },
} as const satisfies Record<string, ErrorEntry>;
