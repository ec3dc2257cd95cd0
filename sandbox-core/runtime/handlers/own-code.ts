/** Most characters of a bundle that are looked through for what a function is written for. */
const OWN_LENGTH = 256 * 1024;

/**
 * The end of a bundle, where a function's own code is: packages come before what imports them. A
 * look through all of a bundle of megabytes would take milliseconds of each start.
 */
export function ownCode(code: string): string {
  return code.slice(-OWN_LENGTH);
}
