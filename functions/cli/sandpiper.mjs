#!/usr/bin/env node
/**
 * The `sandpiper` command. It starts on any Node from 20 and hands itself to the pinned one, which runs the CLI's sources:
 * plain JavaScript, Node's own modules only, and nothing newer than Node 20.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const OLDEST_NODE = 20;
const PINNED_NODE = 24;
/** Exit code for "something else went wrong"; see failure.ts. */
const EXIT_INTERNAL = 1;

const here = dirname(fileURLToPath(import.meta.url));
/** In a checkout beside this file; in the published package in its dist, or beside this file's copy there. */
const mains = ["main.ts", "main.js", "../../dist/functions/cli/main.js"].map((file) => join(here, file));
const main = mains.find((file) => existsSync(file)) ?? mains[0];
const major = Number(process.versions.node.split(".")[0]);

if (major < OLDEST_NODE) {
  fail(`Node ${OLDEST_NODE} or newer is needed to start; this is ${process.version}.`);
} else if (major === PINNED_NODE) {
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

/** The binary in the package node-linux-<architecture>, or null when it is not installed. */
function findPinnedNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-linux-${process.arch}/package.json`);
    const binary = join(dirname(manifest), "bin", "node");
    return existsSync(binary) ? binary : null;
  } catch {
    return null;
  }
}

/** Becomes the CLI; where Node cannot, runs it as a child that shares our terminal, passes signals on, and ends as it ends. */
function runWith(node) {
  const words = [main, ...process.argv.slice(2)];
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
