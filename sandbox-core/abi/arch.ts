/** The tables of the architecture that this process runs on. */
import * as arm64 from "./arm64.ts";
import * as x86_64 from "./x86_64.ts";

export type SyscallName = keyof typeof x86_64.SYSCALLS | keyof typeof arm64.SYSCALLS;

export interface Architecture {
  name: string;
  /** The `arch` of a native call, as a seccomp filter sees it. */
  auditArch: number;
  /** Numbers by name; a call that this architecture does not have is absent. */
  syscalls: Partial<Record<SyscallName, number>>;
  /** `struct epoll_event` is packed on x86-64 alone. */
  epollEvent: { bytes: number; dataOffset: number };
  /**
   * x86-64 numbers its x32 calls from here on; a filter must refuse them (seccomp(2), "Caveats").
   */
  x32Bit: number | null;
}

export const ARCHITECTURES: Record<string, Architecture> = {
  x64: {
    name: "x86_64",
    auditArch: x86_64.AUDIT_ARCH,
    syscalls: x86_64.SYSCALLS,
    epollEvent: { bytes: 12, dataOffset: 4 },
    x32Bit: 0x40000000,
  },
  arm64: {
    name: "arm64",
    auditArch: arm64.AUDIT_ARCH,
    syscalls: arm64.SYSCALLS,
    epollEvent: { bytes: 16, dataOffset: 8 },
    x32Bit: null,
  },
};

/**
 * The architecture of this process.
 * @throws Error on one that has no table here.
 */
export function currentArchitecture(): Architecture {
  const found = ARCHITECTURES[process.arch];
  if (!found) throw new Error(`no system call table for ${process.arch}: Sandpiper runs on x64 and arm64`);
  return found;
}
