/** Installs Debian's redis-server when there is none. */
import type { Environment } from "../environment.ts";
import { ensureProgram, type Wanted } from "./apt-install.ts";
import type { Steps } from "./steps.ts";

const REDIS: Wanted = {
  program: "redis-server",
  packages: ["redis-server"],
  otherwise: "install Redis 6.2 or newer by your system's means, or set REDIS_URL to one that runs elsewhere",
};

/**
 * Path of a `redis-server`, installed through apt if there is none on PATH. The package's own
 * service is not started.
 * @throws UpError naming the command to type.
 */
export function ensureRedisServer(env: Environment, steps: Steps): Promise<string> {
  return ensureProgram(REDIS, env, steps);
}
