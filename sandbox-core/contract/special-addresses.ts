/**
 * Addresses of version 4 that are nobody's public host (IANA's registry of special-purpose
 * addresses), but for loopback, and for the block of addresses that stand for names in sandboxes.
 */
export const SPECIAL_ADDRESSES: readonly string[] = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
];
