/** MariaDB out of Debian, and as much of MongoDB as its driver asks for. */
import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createServer } from "node:tls";
import type { ClientExample } from "../example.ts";
import { type Bson, serveDocuments } from "../mongo-server.ts";
import { listen, NOBODY, startProgram } from "../program.ts";

const TABLES = "/usr/share/mysql";
const PASSWORD = "s3cret";

const MARIADB: ClientExample = {
  name: "mysql",
  title: "MySQL",
  packages: ["mysql2@3.24.6"],
  hosts: ["sql.example.com"],
  secrets: { DB_PASSWORD: PASSWORD },
  missing: () =>
    spawnSync("mariadbd", ["--version"]).error === undefined
      ? null
      : "there is no mariadbd: Debian's package mariadb-server-core has it",
  async start({ address, directory, tls }) {
    const [data, setUp] = [join(directory, "data"), join(directory, "set-up.sql")];
    mkdirSync(data, { mode: 0o700 });
    const shop = [
      "create database shop",
      "create table shop.orders (item text)",
      "insert into shop.orders values ('pencil'), ('pen'), ('ink')",
      `create user shop@'%' identified by '${PASSWORD}' require ssl`,
      "grant all on shop.* to shop@'%'",
    ];
    writeFileSync(setUp, shop.map((statement) => `${statement};\n`).join(""));
    for (const path of [data, setUp]) chownSync(path, NOBODY, NOBODY);
    // Debian's own program for this needs the packages of the clients as well.
    const own = { uid: NOBODY, gid: NOBODY, cwd: "/", stdio: "pipe", input: systemTables() } as const;
    execFileSync("mariadbd", ["--no-defaults", "--bootstrap", `--datadir=${data}`], own);
    const args = [
      ...["--no-defaults", `--datadir=${data}`, `--socket=${join(data, "socket")}`, `--init-file=${setUp}`],
      ...[`--bind-address=${address}`, "--port=3306", `--ssl-cert=${tls.cert}`, `--ssl-key=${tls.key}`],
      "--skip-name-resolve",
    ];
    return startProgram({ program: "mariadbd", args, uid: NOBODY, address, port: 3306 });
  },
  answers: ['{"count":3}', '{"count":3}'],
};

/** Statements that make the server's own tables. */
function systemTables(): string {
  const files = ["mysql_system_tables.sql", "mysql_system_tables_data.sql"];
  return [
    "create database mysql;\nuse mysql;\n",
    ...files.map((name) => readFileSync(join(TABLES, name), "utf8")),
  ].join("");
}

const MONGODB: ClientExample = {
  name: "mongodb",
  title: "MongoDB",
  packages: ["mongodb@7.9.0"],
  hosts: ["docs.example.com"],
  secrets: {},
  async start({ address, tls, load }) {
    const bson = load("bson") as Bson;
    const options = { key: readFileSync(tls.key), cert: readFileSync(tls.cert) };
    return await listen(createServer(options, serveDocuments(bson)), address, 27_017);
  },
  answers: ['{"orders":1}', '{"orders":2}'],
};

export const DATABASES: readonly ClientExample[] = [MARIADB, MONGODB];
