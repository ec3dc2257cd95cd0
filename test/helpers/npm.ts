/**
 * Packages of npm for measurements and comparisons: at pinned versions, in a directory of their
 * own, never among our dependencies. No install script runs.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";

const OPTIONS = [
  "--ignore-scripts",
  "--no-audit",
  "--no-fund",
  "--no-package-lock",
  "--fetch-retries=1",
  "--loglevel=error",
];

/**
 * Installs packages into a directory that there is.
 * @param environment npm's: it may name a registry, a proxy or certificates
 * @throws Error with what npm said
 */
export async function npmInstall(
  prefix: string,
  packages: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  // npm tells scripts that it runs about itself, which would lead this one to the project's own
  // packages.
  const clean = Object.entries(environment).filter(
    ([key]) => !/^npm_(package|lifecycle|config_local_prefix)/.test(key),
  );
  const npm = spawn("npm", ["install", "--prefix", prefix, ...OPTIONS, ...packages], {
    cwd: prefix,
    env: Object.fromEntries(clean),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [npm.stdout, npm.stderr]) {
    stream.on("data", (text: Buffer) => {
      said = (said + text).slice(-2_000);
    });
  }
  const [code] = await once(npm, "close");
  if (code !== 0) throw new Error(`npm could not install it: ${said.trim().split("\n").slice(-5).join(" ")}`);
}
