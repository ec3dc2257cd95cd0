/**
 * Other software that is measured beside ours: packages at pinned versions, installed into a
 * directory of their own, never among our dependencies, and only for a run that needs them. No
 * install script runs: what is not inside the packages themselves is not there, and the peer counts
 * as missing.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { npmInstall } from "../../helpers/npm.ts";

/** What is installed for each peer: npm's names and versions. */
const PACKAGES = {
  workerd: ["workerd@1.20260730.1"],
  miniflare: ["miniflare@4.20260730.0"],
  deno: ["deno@2.9.6"],
  "isolated-vm": ["isolated-vm@7.0.1"],
  "functions-framework": ["@google-cloud/functions-framework@5.0.5"],
  // Version 4 of serverless asks for an account before it does anything.
  "serverless-offline": ["serverless@3.40.0", "serverless-offline@13.9.0"],
} as const;

export type PeerName = keyof typeof PACKAGES;
export const PEER_NAMES = Object.keys(PACKAGES) as PeerName[];

export interface Peers {
  /**
   * Its directory, with `node_modules` in it, installed if it is not there. @throws Error that says
   * why it cannot be
   */
  find(name: PeerName): Promise<string>;
}

/** None at all: for runs without a network. */
export function noPeers(reason: string): Peers {
  return { find: () => Promise.reject(new Error(reason)) };
}

/**
 * @param directory where they are kept from run to run
 * @param environment npm's: it may name a registry, a proxy or certificates
 */
export function npmPeers(directory: string, environment: NodeJS.ProcessEnv, onProgress: (text: string) => void): Peers {
  const found = new Map<PeerName, Promise<string>>();
  return {
    find(name) {
      const already = found.get(name);
      if (already !== undefined) return already;
      const finding = install(name, directory, environment, onProgress);
      found.set(name, finding);
      return finding;
    },
  };
}

/**
 * A directory has its name only when all of it is there: an install that was interrupted counts as
 * none.
 */
async function install(
  name: PeerName,
  directory: string,
  environment: NodeJS.ProcessEnv,
  onProgress: (text: string) => void,
): Promise<string> {
  const packages = PACKAGES[name];
  const target = join(directory, packages.join("+").replaceAll("/", "-"));
  if (existsSync(target)) return target;
  onProgress(`installing ${packages.join(" and ")}`);
  const unfinished = `${target}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  try {
    await npmInstall(unfinished, packages, environment);
    renameSync(unfinished, target);
    return target;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}
