/**
 * An ordinary user, also one with a subtree of control groups that is theirs: refused, and told
 * why.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chownSync, mkdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { removeDirectory } from "../../../sandbox-core/cgroup/files.ts";

const USER = 1000;
const REFUSED = /^CgroupsError: this process is user 1000, and only root can make sandboxes.*delegated.*is not enough/;
const ordinaryUser = fileURLToPath(import.meta.resolve("./fixtures/ordinary-user.ts"));

function tryAsUser(...group: string[]): string {
  return execFileSync(process.execPath, [ordinaryUser, ...group], { encoding: "utf8" });
}

test("an ordinary user is refused", () => assert.match(tryAsUser(), REFUSED));

test("an ordinary user with a delegated subtree is refused", { skip: detectCgroups().version === 1 }, () => {
  // As systemd delegates: the directory and the files by which it is organised (cgroup-v2.rst,
  // "Model of Delegation").
  const subtree = "/sys/fs/cgroup/sandpiper-test-delegated";
  mkdirSync(subtree);
  try {
    for (const file of ["", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"])
      chownSync(`${subtree}${file}`, USER, USER);
    assert.match(tryAsUser(subtree), REFUSED);
    assert.equal(readFileSync(`${subtree}/cgroup.procs`, "utf8"), "");
  } finally {
    removeDirectory(subtree);
  }
});
