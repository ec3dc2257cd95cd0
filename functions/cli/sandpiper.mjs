#!/usr/bin/env node
/**
 * The `sandpiper` command. It starts on any Node from 20 and hands itself to the pinned one, which
 * runs the CLI's sources: plain JavaScript, Node's own modules only, and nothing newer than Node
 * 20.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import nodeModule, { createRequire } from "node:module";
import { constants, homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const OLDEST_NODE = 20;
const PINNED_NODE = 24;
/** Exit code for "something else went wrong"; see failure.ts. */
const EXIT_INTERNAL = 1;

const here = dirname(fileURLToPath(import.meta.url));
/**
 * In a checkout beside this file; in the published package in its dist, or beside this file's copy
 * there.
 */
const mains = ["main.ts", "main.js", "../../dist/functions/cli/main.js"].map((file) => join(here, file));
const main = mains.find((file) => existsSync(file)) ?? mains[0];
const major = Number(process.versions.node.split(".")[0]);

if (major < OLDEST_NODE) {
  fail(`Node ${OLDEST_NODE} or newer is needed to start; this is ${process.version}.`);
} else if (major === PINNED_NODE) {
  const cache = compileCacheDirectory();
  if (cache !== null) nodeModule.enableCompileCache(cache);
  await import(pathToFileURL(main).href);
} else {
  const node = findPinnedNode();
  if (node === null) {
    const packageName = `node-linux-${process.arch}@${PINNED_NODE}`;
    fail(
      `Node ${PINNED_NODE} is needed; this is ${process.version}, and the package that brings it is not installed.\n` +
        `Type: npm install ${packageName}   (it may be missing because of --omit=optional)`,
    );
  } else {
    runWith(node);
  }
}

/**
 * Where Node keeps what it compiled, as the CLI would else strip and compile its modules at each
 * start: a directory of this user's alone, since whoever can write there can have this user run
 * anything. null when there can be none.
 */
function compileCacheDirectory() {
  try {
    const directory = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "sandpiper", "compiled");
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const { uid, mode } = statSync(directory);
    return uid === process.getuid() && (mode & 0o022) === 0 ? directory : null;
  } catch {
    return null;
  }
}

/** The binary in the package node-linux-<architecture>, or null when it is not installed. */
function findPinnedNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-linux-${process.arch}/package.json`);
    const binary = join(dirname(manifest), "bin", "node");
    const { version } = JSON.parse(readFileSync(manifest, "utf8"));
    return existsSync(binary) && version.startsWith(`${PINNED_NODE}.`) ? binary : null;
  } catch {
    return null;
  }
}

/**
 * Becomes this file once more, on the pinned Node; where Node cannot, runs it as a child that
 * shares our terminal, passes signals on, and ends as it ends.
 */
function runWith(node) {
  const words = [fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  if (process.execve) process.execve(node, [node, ...words], process.env);
  const child = spawn(node, words, { stdio: "inherit" });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`cannot run ${node}: ${error.message}`));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  });
}

function fail(message) {
  process.stderr.write(`sandpiper: ${message}\n`);
  process.exitCode = EXIT_INTERNAL;
}
