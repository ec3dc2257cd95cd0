/**
 * All commands, in the order of the help. Only the one that is asked for is loaded, as all of them
 * take half a second; a command loads what needs a library when it runs, so that its help is quick.
 */
import type { CompleteCommand } from "./command.ts";

export interface CommandEntry {
  usage: string;
  alias?: string;
  summary: string;
  load(): Promise<CompleteCommand>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    usage: "init [directory]",
    summary: "make a directory with a function in it",
    load: async () => (await import("./commands/init.ts")).addInit,
  },
  {
    usage: "dev [directory]",
    summary: "run a function while it is written: each change is live at once",
    load: async () => (await import("./commands/dev.ts")).addDev,
  },
  {
    usage: "deploy [directory]",
    summary: "upload a function; the URL alone goes to stdout, all else to stderr",
    load: async () => (await import("./commands/deploy.ts")).addDeploy,
  },
  {
    usage: "invoke <function>",
    summary: "call a function and print its answer",
    load: async () => (await import("./commands/invoke.ts")).addInvoke,
  },
  {
    usage: "list",
    alias: "ls",
    summary: "list the functions that are deployed",
    load: async () => (await import("./commands/list.ts")).addList,
  },
  {
    usage: "info <function>",
    summary: "show a function: its URL, version, configuration and files",
    load: async () => (await import("./commands/info.ts")).addInfo,
  },
  {
    usage: "versions <function>",
    summary: "list the versions of a function, and which of them are called",
    load: async () => (await import("./commands/versions.ts")).addVersions,
  },
  {
    usage: "rollback <function> [version]",
    summary: "have an earlier version be live again: the one before, or the one that is named",
    load: async () => (await import("./commands/rollback.ts")).addRollback,
  },
  {
    usage: "promote <function> [alias-or-version]",
    summary: "have the canary, or the version of an alias, be live for all calls",
    load: async () => (await import("./commands/promote.ts")).addPromote,
  },
  {
    usage: "alias <action> <function> [alias] [versions...]",
    summary: "name versions of a function: set | list | delete",
    load: async () => (await import("./commands/alias.ts")).addAlias,
  },
  {
    usage: "sign <function> [path]",
    summary: "print a URL by which anybody may call a function for a while; the URL alone goes to stdout",
    load: async () => (await import("./commands/sign.ts")).addSign,
  },
  {
    usage: "open <function>",
    summary: "open a function's URL in a browser",
    load: async () => (await import("./commands/open.ts")).addOpen,
  },
  {
    usage: "logs <function>",
    summary: "show a function's log, oldest first; with --json one JSON object a line",
    load: async () => (await import("./commands/logs.ts")).addLogs,
  },
  {
    usage: "calls <show> <request-id>",
    summary: "show how one call ended, also one that never ran",
    load: async () => (await import("./commands/calls.ts")).addCalls,
  },
  {
    usage: "secret <action> [name]",
    summary: "set, list and delete secrets: set | list | delete | rewrap",
    load: async () => (await import("./commands/secret.ts")).addSecret,
  },
  {
    usage: "delete <function>",
    alias: "rm",
    summary: "delete a function; asks first",
    load: async () => (await import("./commands/delete.ts")).addDelete,
  },
  {
    usage: "domain <action> [domain] [function]",
    summary: "have functions answer at domains of your own: add | list | verify | remove",
    load: async () => (await import("./commands/domain.ts")).addDomain,
  },
  {
    usage: "egress <action> [tenant] [rules...]",
    summary: "show and change what functions of a tenant may connect to; changing takes the operator's key",
    load: async () => (await import("./commands/egress.ts")).addEgress,
  },
  {
    usage: "key <action> [id]",
    summary: "make, list, replace and end API keys: create | list | rotate | revoke",
    load: async () => (await import("./commands/key.ts")).addKey,
  },
  {
    usage: "audit",
    summary: "show who administered what, when, and what came of it",
    load: async () => (await import("./commands/audit.ts")).addAudit,
  },
  {
    usage: "tenant <action> [tenant]",
    summary: "make, weigh, suspend and delete tenants: create | list | info | set | suspend | resume | delete",
    load: async () => (await import("./commands/tenant.ts")).addTenant,
  },
  {
    usage: "quota <action> [tenant] [limits...]",
    summary: "show and set how much a tenant or function may have and do: show | set; setting takes the operator's key",
    load: async () => (await import("./commands/quota.ts")).addQuota,
  },
  {
    usage: "usage",
    summary: "show what functions used: calls, processor time, memory and bytes, by the hour with --json",
    load: async () => (await import("./commands/usage.ts")).addUsage,
  },
  {
    usage: "backup <file>",
    summary: "write functions, secrets as they are sealed, keys and artefacts into a file, with the operator's key",
    load: async () => (await import("./commands/backup.ts")).addBackup,
  },
  {
    usage: "restore <file>",
    summary: "restore such a file into an empty Sandpiper, with the operator's key",
    load: async () => (await import("./commands/restore.ts")).addRestore,
  },
  {
    usage: "gc",
    summary: "remove old versions, and files that nobody needs any more",
    load: async () => (await import("./commands/gc.ts")).addGc,
  },
  {
    usage: "login [profile]",
    summary: "keep a gateway and its key for the commands that follow",
    load: async () => (await import("./commands/login.ts")).addLogin,
  },
  {
    usage: "logout [profile]",
    summary: "forget a gateway and its key",
    load: async () => (await import("./commands/logout.ts")).addLogout,
  },
  {
    usage: "whoami",
    summary: "show which gateway and which key commands use here",
    load: async () => (await import("./commands/whoami.ts")).addWhoami,
  },
  {
    usage: "doctor",
    summary: "show what this machine offers for isolation, and what is missing",
    load: async () => (await import("./commands/doctor.ts")).addDoctor,
  },
  {
    usage: "box [words...]",
    summary: "run any command in a sandbox of this machine",
    load: async () => (await import("./commands/box.ts")).addBox,
  },
  {
    usage: "types [directory]",
    summary: "write the type Env of a function's environment",
    load: async () => (await import("./commands/types.ts")).addTypes,
  },
  {
    usage: "schema",
    summary: "print the JSON schema of sandpiper.jsonc, for editors",
    load: async () => (await import("./commands/schema.ts")).addSchema,
  },
  {
    usage: "completion <shell>",
    summary: "print what a shell reads to complete the words of this command",
    load: async () => (await import("./commands/completion.ts")).addCompletion,
  },
];

/**
 * Whether a command line may ask for the command or for its help: its name stands somewhere in it.
 */
export function isAskedFor({ usage, alias }: CommandEntry, args: readonly string[]): boolean {
  const [name] = usage.split(" ");
  return args.some((word) => word === name || word === alias);
}
