/** The prefix of our modules' names in a sandbox: see own-names.ts. */
export const OWN_NAMES = "node:sandpiper/";
