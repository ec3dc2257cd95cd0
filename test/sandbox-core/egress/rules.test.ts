/** What a policy lets through: names, ports, addresses, places and bytes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressGuard } from "../../../sandbox-core/egress/addresses.ts";
import { CallBudget } from "../../../sandbox-core/egress/call-budget.ts";
import { PlatformHosts } from "../../../sandbox-core/egress/platform-hosts.ts";
import { Names } from "../../../sandbox-core/egress/resolver.ts";
import { Rules } from "../../../sandbox-core/egress/rules.ts";
import { Shares } from "../../../sandbox-core/egress/shares.ts";
import { MOST_STAND_INS, StandIns } from "../../../sandbox-core/egress/stand-ins.ts";
import { type TenantOptions, Tenants } from "../../../sandbox-core/egress/tenants.ts";

test("names are reached as they are declared, on the ports that are declared for them", () => {
  const rules = new Rules({
    rules: [
      { to: { kind: "name", name: "db.example" }, ports: [5432] },
      { to: { kind: "suffix", suffix: ".aws.example" }, ports: [443] },
      { to: { kind: "address", address: "10.0.0.5" }, ports: [5432] },
    ],
    deny: [
      { to: { kind: "name", name: "bad.aws.example" }, ports: [] },
      { to: { kind: "name", name: "half.aws.example" }, ports: [443] },
    ],
  });
  const lookups = {
    "db.example": null,
    "x.db.example": "undeclared_name",
    "s3.aws.example": null,
    "a.b.aws.example": null,
    "aws.example": "undeclared_name",
    "xaws.example": "undeclared_name",
    "bad.aws.example": "denied",
    "half.aws.example": null,
  };
  for (const [name, refusal] of Object.entries(lookups)) assert.equal(rules.refuseLookup(name), refusal, name);
  assert.equal(rules.refuseName("db.example", 5432), null);
  assert.equal(rules.refuseName("db.example", 443), "undeclared_port");
  assert.equal(rules.refuseName("s3.aws.example", 443), null);
  assert.equal(rules.refuseName("bad.aws.example", 443), "denied");
  assert.equal(rules.refuseName("half.aws.example", 443), "denied");
  assert.equal(rules.refuseAddress("10.0.0.5", 5432), null);
  assert.equal(rules.refuseAddress("10.0.0.5", 443), "undeclared_port");
  assert.equal(rules.refuseAddress("10.0.0.6", 5432), "undeclared_address");
});

test("public is every name and every address, on its ports", () => {
  const rules = new Rules({
    rules: [{ to: { kind: "public" }, ports: [80, 443] }],
    deny: [
      { to: { kind: "address", address: "9.9.9.9" }, ports: [] },
      { to: { kind: "network", network: "45.0.0.0/8" }, ports: [80] },
      { to: { kind: "network", network: "2606:4700::/32" }, ports: [] },
    ],
  });
  assert.equal(rules.refuseLookup("any.example"), null);
  assert.equal(rules.refuseName("any.example", 80), null);
  assert.equal(rules.refuseName("any.example", 22), "undeclared_port");
  assert.equal(rules.refuseAddress("8.8.8.8", 443), null);
  assert.equal(rules.refuseAddress("9.9.9.9", 443), "denied");
  assert.deepEqual(
    [
      rules.isAddressDenied("45.1.2.3", 80),
      rules.isAddressDenied("45.1.2.3", 443),
      rules.isAddressDenied("46.1.2.3", 80),
    ],
    [true, false, false],
  );
  assert.deepEqual(
    [rules.isAddressDenied("2606:4700::1", 443), rules.isAddressDenied("2606:4701::1", 443)],
    [true, false],
  );
  assert.equal(rules.declaresAddress("8.8.8.8"), false);
});

test("addresses that are nobody's public host are refused, whatever they are written as", () => {
  const guard = new AddressGuard([]);
  const refused = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::1",
    "::",
    "::ffff:8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::8.8.8.8",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:1::1",
    "2001:db8::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "not an address",
    "",
  ];
  for (const address of refused) assert.equal(guard.mayReach(address), false, address);
  for (const address of ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111"])
    assert.equal(guard.mayReach(address), true, address);
});

test("a granted range is reached, and metadata in it takes a grant of its own", () => {
  const guard = new AddressGuard(["10.0.0.0/8", "169.254.0.0/16", "fd00::/8", "127.0.0.2/32"]);
  for (const address of ["10.1.2.3", "169.254.1.1", "fd00::1", "127.0.0.2"])
    assert.equal(guard.mayReach(address), true, address);
  for (const address of [
    "11.0.0.1x",
    "192.168.1.1",
    "169.254.169.254",
    "fd00:ec2::254",
    "127.0.0.1",
    "::ffff:10.1.2.3",
  ])
    assert.equal(guard.mayReach(address), false, address);
  assert.equal(new AddressGuard(["169.254.169.254/32"]).mayReach("169.254.169.254"), true);
  assert.throws(() => new AddressGuard(["10.0.0.0"]), /no range/);
});

test("a range that is granted for names is reached by these alone", () => {
  const names = [
    { to: { kind: "name", name: "db.internal" }, range: "10.1.0.0/16" },
    { to: { kind: "suffix", suffix: ".corp.example" }, range: "169.254.0.0/16" },
  ] as const;
  const guard = new AddressGuard([], names);
  assert.equal(guard.mayReach("10.1.2.3", "db.internal"), true);
  assert.equal(guard.mayReach("169.254.1.1", "a.corp.example"), true);
  for (const [address, name] of [
    ["10.1.2.3", null],
    ["10.1.2.3", "other.internal"],
    ["10.1.2.3", "a.corp.example"],
    ["10.2.2.3", "db.internal"],
    ["169.254.1.1", ".corp.example"],
    ["169.254.169.254", "a.corp.example"],
  ] as const)
    assert.equal(guard.mayReach(address, name), false, `${name} ${address}`);
});

test("an address stands for one name, and never soon for another", () => {
  const standIns = new StandIns();
  const first = standIns.addressOf("a.example").join(".");
  assert.equal(standIns.addressOf("a.example").join("."), first);
  assert.equal(standIns.nameOf(first), "a.example");
  for (const none of ["198.18.0.0", "198.19.255.255", "10.0.0.1", "127.0.0.1", ""])
    assert.equal(standIns.nameOf(none), undefined, none);
  const seen = new Set([first]);
  for (let index = 0; index < 3 * MOST_STAND_INS; index++) seen.add(standIns.addressOf(`${index}.example`).join("."));
  assert.equal(seen.size, 3 * MOST_STAND_INS + 1);
  assert.equal(standIns.nameOf(first), undefined);
  assert.notEqual(standIns.addressOf("a.example").join("."), first);
});

test("a name that is looked up again keeps its address", () => {
  const standIns = new StandIns();
  const kept = standIns.addressOf("kept.example").join(".");
  for (let index = 0; index < 3 * MOST_STAND_INS; index++) {
    standIns.addressOf(`${index}.example`);
    standIns.addressOf("kept.example");
  }
  assert.equal(standIns.nameOf(kept), "kept.example");
});

test("one tenant has half of the places, and the next one finds some", () => {
  const shares = new Shares(100);
  const take = (tenant: string) => {
    let taken = 0;
    while (shares.tryTake(tenant)) taken += 1;
    return taken;
  };
  assert.equal(take("greedy"), 50);
  assert.equal(take("next"), 25);
  for (let given = 0; given < 50; given++) shares.release("greedy");
  assert.ok(take("next") > 0);
});

const tenantsOf = (connections: number, tenantLimits: TenantOptions["tenantLimits"]) =>
  new Tenants({ connections, tenantLimits, handshakesPerSecond: 1e-6 });

test("a tenant has as many connections, and as many in a second, as its limits say", () => {
  const few = tenantsOf(100, { connections: 2 });
  assert.deepEqual([few.tryTake("a"), few.tryTake("a"), few.tryTake("a")], [null, null, "tenant_connections"]);
  assert.equal(few.tryTake("b"), null);
  few.release("a");
  few.forgetIdle();
  assert.deepEqual([few.tryTake("a"), few.tryTake("a")], [null, "tenant_connections"]);
  const slow = tenantsOf(100, { connectionsPerSecond: 1 });
  assert.deepEqual([slow.tryTake("a"), slow.tryTake("a"), slow.tryTake("b")], [null, "tenant_rate", null]);
  const full = tenantsOf(2, { connections: 2 });
  assert.deepEqual([full.tryTake("a"), full.tryTake("a"), full.tryTake("b")], [null, "relay_full", null]);
  // A place that was refused is not taken.
  full.release("b");
  full.release("a");
  assert.deepEqual([full.tryTake("a"), full.tryTake("a")], [null, "relay_full"]);
});

test("a tenant's handshakes are remembered until it may have as many as a new one", () => {
  const tenants = tenantsOf(100, {});
  assert.deepEqual(
    [tenants.tryHandshake("a"), tenants.tryHandshake("a"), tenants.tryHandshake("b")],
    [true, false, true],
  );
  tenants.forgetIdle();
  assert.equal(tenants.tryHandshake("a"), false);
});

test("a tenant's bytes are those of all of its sandboxes, and are remembered when it has no connection", () => {
  const tenants = tenantsOf(100, { bytesPerHour: 100 });
  assert.equal(tenants.tryTake("a"), null);
  assert.deepEqual([tenants.spend("a", 100), tenants.spend("b", 100), tenants.spend("a", 1)], [true, true, false]);
  tenants.release("a");
  tenants.forgetIdle();
  assert.equal(tenants.tryTake("a"), "tenant_bytes");
  assert.equal(tenantsOf(100, {}).spend("a", 1e15), true);
});

test("a call has its bytes, and calls at once have as many times more", () => {
  const budget = new CallBudget(100, []);
  budget.began("a");
  assert.equal(budget.only, "a");
  assert.equal(budget.spend(100), true);
  budget.began("b");
  assert.equal(budget.only, null);
  assert.equal(budget.spend(100), true);
  assert.equal(budget.spend(1), false);
  budget.ended("a");
  budget.ended("b");
  budget.began("c");
  assert.equal(budget.hasBytes, true);
  assert.equal(budget.spend(101), false);
});

test("the platform is out of reach at every address of its machine, and at its ports alone", async () => {
  const names = new Names({ hostsFile: "/etc/hosts" });
  const here = ["127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::ffff:127.0.0.1"];
  for (const host of ["127.0.0.1", "0.0.0.0", "::", "localhost"]) {
    const platform = new PlatformHosts([{ host, port: 8787 }], names);
    assert.deepEqual(await platform.without([...here, "192.0.2.1"], 8787), ["192.0.2.1"], host);
    assert.deepEqual(await platform.without(here, 5432), here, host);
  }
  const elsewhere = new PlatformHosts([{ host: "192.0.2.1", port: 8787 }], names);
  assert.deepEqual(await elsewhere.without([...here, "192.0.2.1"], 8787), here);
});
