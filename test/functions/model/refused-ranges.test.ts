import assert from "node:assert/strict";
import { it } from "node:test";
import { formatNetwork } from "../../../functions/model/ip-network.ts";
import { refusedRanges } from "../../../functions/model/refused-ranges.ts";
import { AddressGuard } from "../../../sandbox-core/egress/addresses.ts";

it("are refused by the relay as well, and open to a grant where they say so", () => {
  for (const { range, network, grantable } of refusedRanges()) {
    const [address = ""] = formatNetwork({ ...network, prefix: network.family === 4 ? 32 : 128 }).split("/");
    assert.ok(!new AddressGuard([]).mayReach(address), range);
    if (grantable) assert.ok(new AddressGuard([range]).mayReach(address), range);
  }
  for (const address of ["8.8.8.8", "2606:4700::1"]) assert.ok(new AddressGuard([]).mayReach(address));
});
