/** What the names of our modules begin with in a sandbox: see own-names.ts. */
export const OWN_NAMES = "node:sandpiper/";
