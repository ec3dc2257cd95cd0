/** Examples whose client and server are there already: Node's, and Debian's that the tests need. */
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import type { ClientExample } from "../example.ts";
import { listen, NOBODY, startProgram } from "../program.ts";

const POSTGRES = "/usr/lib/postgresql/15/bin";
const ORDERS = "create table orders (item text); insert into orders values ('pencil'), ('pen'), ('ink');\n";

const API: ClientExample = {
  name: "api",
  title: "An API.",
  packages: [],
  hosts: ["api.example.com"],
  secrets: { TOKEN: "t0ken" },
  async start({ address, tls }) {
    const server = createServer({ key: readFileSync(tls.key), cert: readFileSync(tls.cert) }, (request, response) => {
      response.end(JSON.stringify({ path: request.url, as: request.headers.authorization }));
    });
    const { stop } = await listen(server, address, 443);
    return {
      stop() {
        server.closeAllConnections();
        return stop();
      },
    };
  },
  answers: ['{"path":"/charge","as":"Bearer t0ken"}'],
};

const REDIS: ClientExample = {
  name: "redis",
  title: "Redis",
  packages: ["ioredis@6.0.0"],
  hosts: ["cache.example.com"],
  secrets: {},
  start({ address, directory }) {
    const args = ["--port", "6379", "--bind", address, "--save", "", "--dir", directory];
    return startProgram({ program: "redis-server", args, address, port: 6379 });
  },
  answers: ['{"visits":1}', '{"visits":2}', '{"visits":3}'],
};

const DATABASE: ClientExample = {
  name: "postgres",
  title: "Postgres",
  packages: ["pg@8.23.1"],
  hosts: ["db.example.com"],
  secrets: {},
  missing: () => (existsSync(POSTGRES) ? null : `there is no ${POSTGRES}: Debian's package postgresql has it`),
  async start({ address, directory }) {
    const data = join(directory, "data");
    mkdirSync(data, { mode: 0o700 });
    chownSync(data, NOBODY, NOBODY);
    const own = { uid: NOBODY, gid: NOBODY, cwd: "/" } as const;
    const initial = ["-D", data, "-A", "trust", "-U", "shop", "--no-sync"];
    execFileSync(`${POSTGRES}/initdb`, initial, { ...own, stdio: "ignore" });
    const run = (database: string, input: string) =>
      execFileSync(`${POSTGRES}/postgres`, ["--single", "-D", data, database], { ...own, input, stdio: "pipe" });
    run("postgres", "create database shop;\n");
    run("shop", ORDERS);
    const settings = ["-c", `listen_addresses=${address}`, "-c", "unix_socket_directories=", "-c", "fsync=off"];
    const args = ["-D", data, "-p", "5432", ...settings];
    return startProgram({ program: `${POSTGRES}/postgres`, args, uid: NOBODY, address, port: 5432 });
  },
  answers: ['{"count":"3"}', '{"count":"3"}'],
};

export const OWN: readonly ClientExample[] = [API, REDIS, DATABASE];
