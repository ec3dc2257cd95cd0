/**
 * `node infra/start.mjs SCRIPT.ts [ARGUMENTS]`: runs a script of this checkout on the Node that it
 * is pinned to.
 *
 * Plain JavaScript without dependencies, for any Node from 20, because it runs before anything is
 * installed. It installs the packages when they are missing or older than the lock file, hands
 * over, and passes signals and exit code through.
 */
import { spawn } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const PINNED_NODE = join(ROOT, "node_modules", `node-linux-${process.arch}`, "bin", "node");
const INSTALL_ONLY = "--install-only";
/** How often this looks whether npm is still there. */
const LOOK_MS = 500;
const STARTED_BY = starters();

async function main([script, ...args]) {
  checkMachine();
  if (script === undefined) fail("which script? Usage: node infra/start.mjs SCRIPT.ts [ARGUMENTS]");
  if (script === INSTALL_ONLY) return install();
  if (!isInstalled()) await installAlone();
  if (!isInstalled()) fail(`npm ci did not install all that package-lock.json lists. Type: npm ci --prefix ${ROOT}`);
  await handOver([resolve(script), ...args]);
}

function checkMachine() {
  if (process.platform !== "linux") {
    fail(`Sandpiper runs on Linux only, as its sandboxes are made by the Linux kernel; this is ${process.platform}.`);
  }
  if (process.arch !== "x64" && process.arch !== "arm64") {
    fail(`Sandpiper runs on x64 and arm64 processors; this is ${process.arch}.`);
  }
  if (Number(process.versions.node.split(".")[0]) < 20) {
    fail(`Sandpiper needs Node 20 or newer to install itself; this is ${process.version} (${process.execPath}).`);
  }
}

/**
 * Whether node_modules holds what package-lock.json asks for. npm writes its own lock file into
 * node_modules when an installation is complete, so an interrupted one does not count. Optional
 * packages may be missing: they are for other processors.
 */
function isInstalled() {
  const wanted = readPackages(join(ROOT, "package-lock.json"));
  const present = readPackages(join(ROOT, "node_modules", ".package-lock.json"));
  if (wanted === null) fail(`${ROOT} has no package-lock.json: clone Sandpiper again.`);
  if (present === null || !isFile(PINNED_NODE)) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.startsWith("node_modules/")) return true;
    const found = Object.hasOwn(present, path) ? present[path] : undefined;
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages ?? null;
  } catch {
    return null;
  }
}

function isFile(path) {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/**
 * Installs under a lock on the checkout's directory, so that two starts at once do not install over
 * each other: the second waits, then finds everything there. The kernel drops the lock with its
 * holder, see flock(1).
 */
async function installAlone() {
  const again = [process.execPath, fileURLToPath(import.meta.url), INSTALL_ONLY];
  const result = await run("flock", ["--no-fork", ROOT, ...again], "inherit");
  if (result.error?.code === "ENOENT") return install();
  if (result.code !== 0) process.exit(result.code);
}

async function install() {
  if (isInstalled()) return;
  const startedAt = performance.now();
  process.stderr.write("Installing packages (npm ci), once: this may take a minute ...\n");
  // Nothing of ours needs an install script: esbuild, koffi and msgpackr come as ready binaries.
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = process.env.npm_execpath?.endsWith(".js") ? [process.execPath, process.env.npm_execpath] : ["npm"];
  const [command, ...rest] = [...npm, ...args];
  const result = await run(command, rest, ["ignore", "pipe", "pipe"]);
  if (result.code === 0) {
    process.stderr.write(`Installed packages in ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
    return;
  }
  // npm's own summary of its options follows after the first lines; nobody needs it here.
  process.stderr.write(`${result.output.split("\n").slice(0, 40).join("\n")}\n`);
  fail(
    result.error?.code === "ENOENT"
      ? "there is no npm on PATH to install the packages with. Install it, for example: apt-get install npm"
      : `npm ci failed. The lines above say why; when it is put right, type: npm start`,
  );
}

/** Runs a command in the checkout and resolves with its exit code and output; never rejects. */
function run(command, args, stdio) {
  return new Promise((done) => {
    let output = "";
    const child = spawn(command, args, { cwd: ROOT, stdio });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk) => {
        output = (output + chunk).slice(-20_000);
      });
    }
    child.once("error", (error) => done({ code: 1, output: "", error }));
    child.once("close", (code) => done({ code: code ?? 1, output: output.trim() }));
  });
}

/**
 * Runs the script on the pinned Node and ends as it ends. A signal from the keyboard reaches the
 * script too, as both are in the terminal's foreground group; passing it on as well covers a signal
 * that was sent to this process alone. The IPC channel tells the script when this process is
 * killed.
 */
async function handOver(args) {
  const child = spawn(PINNED_NODE, args, { stdio: ["inherit", "inherit", "inherit", "ipc"] });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  const look = setInterval(() => {
    if (STARTED_BY.every(({ of, parent }) => parentOf(of) === parent)) return;
    clearInterval(look);
    child.kill("SIGTERM");
  }, LOOK_MS);
  const [code, signal] = await new Promise((done) => {
    child.once("error", (error) => fail(`cannot run ${PINNED_NODE}: ${error.message}`));
    child.once("exit", (...how) => done(how));
  });
  process.exit(signal === null ? code : 128 + constants.signals[signal]);
}

/**
 * Who is whose parent from here up to npm; nothing when npm does not run this very script. npm that
 * is told to end, or killed, passes nothing on: its shell dies, or lives on, and so would all that
 * runs here. Without npm nobody stands between this process and the user, who may leave it alone in
 * the background (nohup, setsid, a service), so its parent may go.
 */
function starters() {
  if (!process.env.npm_lifecycle_script?.includes(`infra/start.mjs ${process.argv[2]}`)) return [];
  const first = { of: process.pid, parent: process.ppid };
  // "sh -c": npm's shell, where it did not become this process.
  const isShell = readText(`/proc/${first.parent}/cmdline`).split("\0")[1] === "-c";
  return isShell ? [first, { of: first.parent, parent: parentOf(first.parent) }] : [first];
}

/**
 * The fourth field of proc_pid_stat(5), after the name in parentheses, which may hold anything;
 * null when it is gone.
 */
function parentOf(pid) {
  const stat = readText(`/proc/${pid}/stat`);
  return stat === "" ? null : Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

function readText(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function fail(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
}

await main(process.argv.slice(2));
