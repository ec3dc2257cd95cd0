/** Waiting for descriptors: poll(2), and epoll(7) for more than a few. */
import koffi from "koffi";
import { checked } from "./checked.ts";

const libc = koffi.load("libc.so.6");

export const pollCalls = {
  poll: checked(
    "poll",
    libc.func("int poll(void *fds, unsigned long count, int timeout)") as (
      fds: Buffer,
      count: number,
      timeoutMs: number,
    ) => number,
  ),
  epollCreate: checked("epoll_create1", libc.func("int epoll_create1(int flags)") as (flags: number) => number),
  epollControl: checked(
    "epoll_ctl",
    libc.func("int epoll_ctl(int epoll, int operation, int fd, void *event)") as (
      epoll: number,
      operation: number,
      fd: number,
      event: Buffer | null,
    ) => number,
  ),
  epollWait: checked(
    "epoll_wait",
    libc.func("int epoll_wait(int epoll, void *events, int most, int timeout)") as (
      epoll: number,
      events: Buffer,
      most: number,
      timeoutMs: number,
    ) => number,
  ),
};
