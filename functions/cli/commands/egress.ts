/** `sandpiper egress`: what functions of each tenant may connect to, as the operator says. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { GrantListInfo, GrantsChanged, GrantsInfo } from "../../api/egress.ts";
import type { GrantList } from "../../model/egress-grants.ts";
import type { Gateway } from "../client/gateway.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say, styled } from "../io.ts";

interface EgressOptions {
  remove?: boolean;
  clear?: boolean;
}

const LISTS: readonly string[] = ["allow", "deny", "private"] satisfies GrantList[];

export function addEgress(add: AddCommand, io: Io): void {
  add([
    "sandpiper egress list",
    "sandpiper egress allow acme api.stripe.com '*.amazonaws.com:*'    (these, and nothing else)",
    "sandpiper egress allow acme --clear                               (nothing at all)",
    "sandpiper egress deny acme 'ads.example.com:*'                    (although it is allowed)",
    "sandpiper egress private acme db.internal=10.1.0.0/16             (a network that is refused otherwise, for one name)",
    "sandpiper egress private acme 10.1.0.0/16                         (the same for all names and addresses)",
    "sandpiper egress private acme 10.1.0.0/16 --remove",
    "sandpiper egress reset acme                                       (the default again)",
  ])
    .option("--remove", "take these rules out of the list")
    .option("--clear", "empty the list first; what is allowed is nothing then, but for the rules that follow")
    .action((action: string, tenant: string | undefined, rules: string[], _options, command: Command) =>
      egress(io, { action, tenant, rules }, command),
    );
}

interface Asked {
  action: string;
  tenant: string | undefined;
  rules: readonly string[];
}

async function egress(io: Io, asked: Asked, command: Command): Promise<void> {
  const { json, remove = false, clear = false } = optionsOf<EgressOptions>(command);
  const { action, tenant, rules } = asked;
  if (action === "list") return list(io, await gatewayOf(io, command), tenant, json ?? false);
  if (action !== "reset" && !LISTS.includes(action)) throw wrong(`there is no "${action}" of egress`);
  if (tenant === undefined) throw wrong("the tenant is missing");
  if (action !== "reset" && rules.length === 0 && !clear) throw wrong("name a rule at least");
  const gateway = await gatewayOf(io, command);
  const named = remove ? { remove: [...rules] } : { add: [...rules] };
  const changed =
    action === "reset"
      ? await gateway.resetGrants(tenant)
      : await gateway.changeGrants(tenant, { list: action as GrantList, clear, ...named });
  if (json) return printJson(io, changed);
  tell(io, changed);
}

function wrong(message: string): CliError {
  const hint =
    "sandpiper egress list, allow <tenant> <rules>, deny <tenant> <rules>, private <tenant> [<name>=]<network>..., reset <tenant>";
  return new CliError("usage", message, { code: "USAGE", hint });
}

async function list(io: Io, gateway: Gateway, tenant: string | undefined, json: boolean): Promise<void> {
  const all = await gateway.grants();
  const shown = tenant === undefined ? all : { ...all, tenants: all.tenants.filter((one) => one.tenant === tenant) };
  if (json) return printJson(io, shown);
  io.stdout.write(describeDefault(shown));
  for (const grants of shown.tenants) io.stdout.write(describe(io, grants));
}

function describeDefault({ default: { allow, deny } }: GrantListInfo): string {
  const what = allow === "public" ? "everything public" : "nothing";
  const denied = deny.length === 0 ? "" : `, and deny ${deny.join(" ")}`;
  return `${escapeLine(`all tenants without a list of their own: allow ${what}${denied}`)}\n`;
}

function describe(io: Io, { tenant, allow, ...others }: GrantsInfo): string {
  const lists: [string, string[] | null][] = [
    ["allow", allow],
    ["deny", others.deny],
    ["private", others.private],
  ];
  const lines = lists.flatMap(([name, rules]) => {
    if (rules === null || (rules.length === 0 && name !== "allow")) return [];
    return `  ${name.padEnd(8)} ${escapeLine(rules.length === 0 ? "nothing" : rules.join(" "))}\n`;
  });
  const body = lines.length === 0 ? "  the default\n" : lines.join("");
  return `${styled(io.stdout, "bold", escapeLine(tenant))}\n${body}`;
}

function tell(io: Io, { grants, refused }: GrantsChanged): void {
  io.stdout.write(describe(io, grants));
  for (const { name, rule, reason } of refused) {
    const text = `${name} declares ${rule}, which is out of force: ${reason}`;
    say(io, `${styled(io.stderr, "yellow", "warning:")} ${escapeLine(text)}`);
  }
}
