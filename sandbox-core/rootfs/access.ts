/**
 * A sandbox's rights to the files of its root, said a second time, to Landlock (landlock(7)). The
 * mounts say the same; these rules stand should a mount ever be other than it was meant to be, and
 * reach what no mount bounds: abstract sockets, and signals to processes that the sandbox did not
 * start.
 *
 * Networks are left to the network namespace. Landlock knows ports and no addresses, so a rule that
 * keeps a sandbox from the world would keep it from servers of its own on loopback.
 */
import { LANDLOCK_FS as FS, LANDLOCK, O } from "../abi/linux.ts";
import type { Bind, Program } from "../contract/program.ts";
import { allowBeneath, createRuleset, restrictSelf } from "../syscall/landlock.ts";
import { sys } from "../syscall/libc.ts";
import { usrBinds } from "./program.ts";

/** The rights that each version of Landlock added; a sandbox gives up all that its kernel knows. */
const ADDED: readonly { abi: number; what: string; rights?: number; scopes?: number; flags?: number }[] = [
  { abi: 1, what: "files and directories", rights: rightsUpTo(FS.MAKE_SYM) },
  { abi: 2, what: "links and renames between directories", rights: FS.REFER },
  { abi: 3, what: "truncating files", rights: FS.TRUNCATE },
  { abi: 5, what: "ioctl on devices", rights: FS.IOCTL_DEV },
  {
    abi: 6,
    what: "signals and abstract unix sockets",
    scopes: LANDLOCK.SCOPE_SIGNAL | LANDLOCK.SCOPE_ABSTRACT_UNIX_SOCKET,
  },
  // Attempts of tenants must not fill the host's audit log.
  { abi: 7, what: "no audit records", flags: LANDLOCK.RESTRICT_SELF_LOG_SAME_EXEC_OFF },
  { abi: 9, what: "unix sockets by path", rights: FS.RESOLVE_UNIX },
];

const READ = FS.READ_FILE | FS.READ_DIR;
/** Everything but making devices, using their ioctls, and starting programs. */
const WRITE =
  READ |
  FS.WRITE_FILE |
  FS.TRUNCATE |
  FS.REMOVE_DIR |
  FS.REMOVE_FILE |
  FS.MAKE_DIR |
  FS.MAKE_REG |
  FS.MAKE_SOCK |
  FS.MAKE_FIFO |
  FS.MAKE_SYM |
  FS.REFER |
  FS.RESOLVE_UNIX;

/** A path inside, and the rights over it and all below it. */
interface Grant {
  path: string;
  rights: number;
}

/** The rights of every sandbox: read what there is, use its devices, and write below /tmp. */
const GRANTS: readonly Grant[] = [
  { path: "/", rights: READ },
  { path: "/dev", rights: READ | FS.WRITE_FILE },
  { path: "/tmp", rights: WRITE },
];

/** Terminals are nothing without their ioctls. */
const TERMINAL_GRANTS: readonly Grant[] = ["/dev/pts", "/dev/tty"].map((path) => ({ path, rights: FS.IOCTL_DEV }));

/** The rights that Landlock of that version takes from a sandbox, for people. */
export function landlockWalls(abi: number): string[] {
  return ADDED.filter((step) => step.abi <= abi).map(({ what }) => what);
}

/**
 * Gives up what the root's rules do not grant, as far as Landlock of version `abi` can; with 0,
 * nothing. The root must be in place.
 * @throws SyscallError
 */
export function confine(abi: number, program?: Program): void {
  if (abi === 0) return;
  const { rights, scopes, flags } = handledBy(abi);
  const ruleset = createRuleset(rights, scopes);
  for (const grant of [...GRANTS, ...(program ? grantsTo(program) : [])]) {
    // A right that is not taken away needs no rule, and the kernel refuses an empty one (ENOMSG).
    if ((grant.rights & rights) === 0) continue;
    const file = sys.open(grant.path, O.PATH | O.CLOEXEC);
    allowBeneath(ruleset, file, grant.rights & rights);
    sys.close(file);
  }
  restrictSelf(ruleset, flags);
  sys.close(ruleset);
}

function grantsTo({ binds, root = "bare", terminal }: Program): Grant[] {
  return [
    ...(root === "usr" ? usrBinds().map(grantTo) : []),
    ...(typeof root === "object" ? [{ path: "/", rights: FS.EXECUTE }] : []),
    ...(terminal ? TERMINAL_GRANTS : []),
    ...binds.map(grantTo),
  ];
}

/** All bind mounts can be read, by the rule for the root. */
function grantTo({ target, kind, executable, writable = false }: Bind): Grant {
  const write = kind === "file" ? FS.WRITE_FILE | FS.TRUNCATE : WRITE;
  const written = writable ? write : 0;
  return { path: target, rights: executable ? FS.EXECUTE | written : written };
}

function handledBy(abi: number): { rights: number; scopes: number; flags: number } {
  const sum = { rights: 0, scopes: 0, flags: 0 };
  for (const { rights = 0, scopes = 0, flags = 0 } of ADDED.filter((step) => step.abi <= abi)) {
    sum.rights |= rights;
    sum.scopes |= scopes;
    sum.flags |= flags;
  }
  return sum;
}

/** Every right from the first to this one: they are single bits. */
function rightsUpTo(last: number): number {
  return last * 2 - 1;
}
