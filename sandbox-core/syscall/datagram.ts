/** Datagrams to a unix socket, which Node cannot send. Used by infra/systemd.ts alone. */
import { AF, IPPROTO, SOCK } from "../abi/linux.ts";
import { sys } from "./libc.ts";
import { unixAddress } from "./sockets.ts";

/**
 * Connects to a datagram socket by its path, or its abstract name that starts with "\0".
 * @returns sends a text as one datagram, and drops it where it cannot be delivered at once
 * @throws SyscallError when there is no such socket; RangeError when its name is too long
 */
export function connectDatagram(path: string): (text: string) => void {
  const fd = sys.socket(AF.UNIX, SOCK.DGRAM | SOCK.NONBLOCK | SOCK.CLOEXEC, IPPROTO.DEFAULT);
  const address = unixAddress(path);
  sys.connect(fd, address, address.length);
  return (text) => {
    const bytes = Buffer.from(text);
    try {
      sys.write(fd, bytes, bytes.length);
    } catch {
      // The next one is due soon, and who misses them acts by itself.
    }
  };
}
