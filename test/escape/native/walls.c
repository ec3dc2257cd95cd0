/*
 * A hostile program: what a tenant has who broke out of V8 in a process that was started, and not forked, or who wrote
 * the command of a box. It tries what would have the holder of its sandbox wait, or take from the machine what no group
 * is charged for. One line for each attempt: its name, and the name of the error, "done", or a number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST_FDS 1024

static void tell(const char *name, long result) {
  printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "done");
}

/* Descriptors that it was given beside the first four: none. */
static void descriptors(void) {
  int found = 0;
  for (int fd = 4; fd < MOST_FDS; fd++) found += fcntl(fd, F_GETFD) >= 0;
  printf("descriptors %d\n", found);
}

static long sendOver(int socket, int fd) {
  char control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec byte = {"\n", 1};
  struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Whoever closes the last descriptor of such a connection sleeps for an hour. */
static void lingering(void) {
  struct linger hour = {1, 3600};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  tell("linger", setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof hour));
  for (int leads = 1; leads <= 2; leads++) tell(leads == 1 ? "send over 1" : "send over 2", sendOver(leads, fd));
  int pidfd;
  socklen_t length = sizeof pidfd;
  tell("pidfd of the holder", getsockopt(1, SOL_SOCKET, 77, &pidfd, &length));
  close(fd);
}

/* A budget of the whole machine, charged to nobody. */
static void filters(void) {
  static const int options[] = {26, 50, 51, 52};
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, 0x7fff0000};
  struct sock_fprog program = {1, &allow};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  for (int index = 0; index < 4; index++)
    tell("filter of a socket", setsockopt(fd, SOL_SOCKET, options[index], &program, sizeof program));
  tell("filter of calls", syscall(SYS_seccomp, 1, 0, &program));
  tell("filter with a listener", syscall(SYS_seccomp, 1, 8, &program));
  tell("filter by prctl", syscall(SYS_prctl, 22, 2, &program, 0, 0));
  close(fd);
}

/* Memory of connections that nobody accepts is charged to nobody. */
static void crowd(void) {
  static char bytes[65536];
  struct sockaddr_in address = {AF_INET, htons(33000), {htonl(INADDR_LOOPBACK)}, {0}};
  int server = socket(AF_INET, SOCK_STREAM, 0), connected = 0, waiting = 0, size = 4000000;
  if (bind(server, (struct sockaddr *)&address, sizeof address) < 0) return tell("bind", -1);
  setsockopt(server, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  listen(server, 65535);
  for (int client = 0; client < 512; client++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fd, (struct sockaddr *)&address, sizeof address);
    struct pollfd ready = {fd, POLLOUT, 0};
    if (poll(&ready, 1, client < 128 ? 10000 : 0) == 1) {
      connected++;
      if (write(fd, bytes, sizeof bytes) < 0) return tell("write", -1);
    }
    close(fd);
  }
  ioctl(accept(server, 0, 0), FIONREAD, &waiting);
  printf("waiting %d\nbytes %d\n", connected, waiting);
  close(server);
}

/* What a descriptor that leads outside may be made to do. */
static void outlets(void) {
  tell("size of a pipe", fcntl(1, F_SETPIPE_SZ, 1 << 20));
  tell("signals to others", fcntl(1, F_SETOWN, 1));
  tell("a lease", fcntl(1, F_SETLEASE, F_RDLCK));
  tell("typing into a terminal", ioctl(0, TIOCSTI, "x"));
  int discipline = 3;
  tell("a line discipline", ioctl(0, TIOCSETD, &discipline));
  tell("the console", ioctl(0, TIOCCONS));
  tell("a device", mknod("/tmp/device", S_IFCHR | 0600, 0x105));
}

/* A descriptor of the output in a cycle that only the kernel's collector finds, long after the program's end. */
static void cycle(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return tell("socketpair", -1);
  tell("cycle", sendOver(pair[0], 1) < 0 || sendOver(pair[0], pair[1]) < 0 || sendOver(pair[1], pair[0]) < 0 ? -1 : 0);
}

/* Locks of files are the kernel's memory, charged to nobody: the lowest last, so that none is searched for. */
static int hoardLocks(int count) {
  int fd = open("/tmp/locked", O_RDWR | O_CREAT, 0600);
  for (int left = count; left > 0; left--) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2 * left, .l_len = 1};
    if (fcntl(fd, F_SETLK, &lock) < 0) return tell("lock", -1), 1;
  }
  printf("locked %d\n", count);
  fflush(stdout);
  for (;;) pause();
}

/* Locks that no process has, so that nobody could tell whose they are. */
static void locks(void) {
  int fd = open("/tmp/locked", O_RDWR | O_CREAT, 0600);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
  tell("lock of an open file", fcntl(fd, F_OFD_SETLK, &lock));
  long child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  tell("shared descriptors", child);
  close(fd);
}

int main(int count, char **words) {
  if (count == 3 && strcmp(words[1], "locks") == 0) return hoardLocks(atoi(words[2]));
  descriptors();
  lingering();
  filters();
  crowd();
  outlets();
  locks();
  cycle();
  fflush(stdout);
  return 0;
}
