/*
 * A tenant with native code execution, as bytes: code that needs no library, no writable data and no fixed address. The
 * test puts it into the memory of a sandboxed process (see inject.ts), where a hole in the JavaScript engine would.
 *
 * It reads what it is to do from /tmp/plan, says what came of it on descriptor 1 as lines of text, and ends. All words
 * of a plan are 64 bits: the mode, a count, and `count` records of the mode.
 */
typedef unsigned long u64;
typedef long i64;

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, PIPE2 = 293, SENDMSG = 46, RECVMSG = 47, EXIT = 60, EXIT_GROUP = 231, WAIT4 = 61,
       CLONE = 56, OPENAT = 257, PPOLL = 271, SETSID = 112, FLOCK = 73, FCNTL = 72 };

static i64 native_call(u64 nr, const u64 *a) {
  i64 result;
  register u64 r10 __asm__("r10") = a[3];
  register u64 r8 __asm__("r8") = a[4];
  register u64 r9 __asm__("r9") = a[5];
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

/* The entry of 32-bit programs: i386 numbers, and what the filter sees is another architecture. */
static i64 foreign_call(u64 nr, const u64 *a) {
  i64 result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4]) : "memory");
  return result;
}

/* Waits for children whatever signal tells of their end (waitpid(2)): the kernel collects those that tell by SIGCHLD. */
#define WALL 0x40000000UL

/* clone(2) of a child that shares memory, runs on a stack of its own and holds up its parent, as vfork(2) does. */
static i64 spawn(void (*run)(void *), void *argument, void *stack_top) {
  i64 result;
  register u64 r10 __asm__("r10") = 0;
  register u64 r8 __asm__("r8") = 0;
  __asm__ volatile("syscall\n"
                   "test %%rax, %%rax\n"
                   "jnz 1f\n"
                   "xor %%ebp, %%ebp\n"
                   "mov %[argument], %%rdi\n"
                   "call *%[run]\n"
                   "hlt\n"
                   "1:"
                   : "=a"(result)
                   : "a"((u64)CLONE), "D"(0x4100UL), "S"(stack_top), "d"(0UL), "r"(r10), "r"(r8), [run] "r"(run),
                     [argument] "r"(argument)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
enum { READ = 63, WRITE = 64, CLOSE = 57, PIPE2 = 59, SENDMSG = 211, RECVMSG = 212, EXIT = 93, EXIT_GROUP = 94,
       WAIT4 = 260, CLONE = 220, OPENAT = 56, PPOLL = 73, SETSID = 157, FLOCK = 32, FCNTL = 25 };

static i64 native_call(u64 nr, const u64 *a) {
  register u64 x8 __asm__("x8") = nr;
  register u64 x0 __asm__("x0") = a[0];
  register u64 x1 __asm__("x1") = a[1];
  register u64 x2 __asm__("x2") = a[2];
  register u64 x3 __asm__("x3") = a[3];
  register u64 x4 __asm__("x4") = a[4];
  register u64 x5 __asm__("x5") = a[5];
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return (i64)x0;
}

/* 64-bit arm processes have no such entry. */
static i64 foreign_call(u64 nr, const u64 *a) { return native_call(nr, a); }

static i64 spawn(void (*run)(void *), void *argument, void *stack_top) {
  register u64 x8 __asm__("x8") = CLONE;
  register u64 x0 __asm__("x0") = 0x4100UL;
  register void *x1 __asm__("x1") = stack_top;
  register u64 x2 __asm__("x2") = 0;
  register u64 x3 __asm__("x3") = 0;
  register u64 x4 __asm__("x4") = 0;
  register void *x19 __asm__("x19") = argument;
  register void (*x20)(void *) __asm__("x20") = run;
  __asm__ volatile("svc #0\n"
                   "cbnz x0, 1f\n"
                   "mov x0, x19\n"
                   "blr x20\n"
                   "1:"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19), "r"(x20)
                   : "x30", "memory");
  return (i64)x0;
}
#endif

static i64 call(u64 nr, u64 a, u64 b, u64 c, u64 d) {
  const u64 all[6] = {a, b, c, d, 0, 0};
  return native_call(nr, all);
}

static __attribute__((noreturn)) void leave(u64 code) {
  for (;;) call(EXIT_GROUP, code, 0, 0, 0);
}

static void put(const char *text, u64 length) {
  while (length > 0) {
    i64 written = call(WRITE, 1, (u64)text, length, 0);
    if (written > 0) text += written, length -= (u64)written;
    else if (written != -11 && written != -4) leave(3);
  }
}

/* A signed number and what comes after it. */
static void put_number(i64 value, char after) {
  char digits[24];
  u64 at = sizeof digits, rest = value < 0 ? (u64)-value : (u64)value;
  digits[--at] = after;
  do digits[--at] = (char)('0' + rest % 10), rest /= 10; while (rest > 0);
  if (value < 0) digits[--at] = '-';
  put(digits + at, sizeof digits - at);
}

/* ------------------------------------------------------------------------------------- mode 0: one system call a record */

struct attempt { u64 foreign, nr, arguments[6]; };
struct trial { const struct attempt *attempt; i64 result; u64 returned; };

static void try_it(void *argument) {
  struct trial *trial = argument;
  const struct attempt *attempt = trial->attempt;
  trial->result = attempt->foreign ? foreign_call(attempt->nr, attempt->arguments)
                                   : native_call(attempt->nr, attempt->arguments);
  trial->returned = 1;
  for (;;) call(EXIT, 0, 0, 0, 0);
}

/* Each in a process of its own, as some end it. A line for each: whether the call returned, its result, the wait status. */
static void try_all(const struct attempt *attempts, u64 count) {
  char stack[16384] __attribute__((aligned(16)));
  for (u64 at = 0; at < count; at++) {
    struct trial trial = {attempts + at, 0, 0};
    int status = 0;
    i64 pid = spawn(try_it, &trial, stack + sizeof stack);
    if (pid > 0) call(WAIT4, (u64)pid, (u64)&status, WALL, 0);
    put_number(pid > 0 ? (i64)trial.returned : pid, ' ');
    put_number(*(volatile i64 *)&trial.result, ' ');
    put_number(status, '\n');
  }
}

/* ----------------------------------------------------------------------- mode 1: a descriptor goes along with a frame */

struct io { void *base; u64 length; };
struct message { void *name; u64 name_length; struct io *io; u64 io_count; void *control; u64 control_length; u64 flags; };
struct rights { u64 length; int level, type, fd, padding; };
struct waiting { int fd; short events, revents; };

/*
 * Sends the rest of the plan, a frame, over descriptor 3 with the writing end of a pipe. When nobody took that end, the
 * pipe ends as soon as the frame was read. Says what sendmsg gave and what read gave: 0 is the end, -11 that it did not come.
 */
static void send_descriptor(char *frame, u64 length) {
  int ends[2];
  call(PIPE2, (u64)ends, 04000, 0, 0);
  struct io io = {frame, length};
  struct rights rights = {20, 1, 1, ends[1], 0};
  struct message message = {0, 0, &io, 1, &rights, sizeof rights, 0};
  put_number(call(SENDMSG, 3, (u64)&message, 0, 0), ' ');
  call(CLOSE, (u64)ends[1], 0, 0, 0);
  struct waiting waiting = {ends[0], 1, 0};
  u64 limit[2] = {10, 0};
  call(PPOLL, (u64)&waiting, 1, (u64)limit, 0);
  char byte;
  put_number(call(READ, (u64)ends[0], (u64)&byte, 1, 0), '\n');
}

/* ----------------------------------------------------------- mode 3: locks on files that another sandbox may lock, too */

struct lock { short type, whence; u64 start, length; int pid; };

/*
 * For each path, and they end with NUL: what opening it gave, flock(2) of all of it, the lock that stands against writing
 * it (2: none), and a lock of fcntl(2) for reading. Then it keeps them until it is ended.
 */
static void take_locks(const char *paths, u64 length) {
  for (const char *path = paths; path < paths + length; path++) {
    i64 fd = call(OPENAT, (u64)-100, (u64)path, 04000, 0);
    struct lock standing = {1, 0, 0, 0, 0}, wanted = {0, 0, 0, 0, 0};
    put_number(fd < 0 ? fd : 0, ' ');
    put_number(call(FLOCK, (u64)fd, 6, 0, 0), ' ');
    i64 asked = call(FCNTL, (u64)fd, 5, (u64)&standing, 0);
    put_number(asked < 0 ? asked : *(volatile short *)&standing.type, ' ');
    put_number(call(FCNTL, (u64)fd, 6, (u64)&wanted, 0), '\n');
    while (*path != 0) path++;
  }
  put("end\n", 4);
  for (;;) call(PPOLL, 0, 0, 0, 0);
}

/* --------------------------------------------------------- mode 2: a fork bomb, of processes that try to get away first */

static void run_bomb(void) {
  put("bomb\n", 5);
  for (;;) {
    call(SETSID, 0, 0, 0, 0);
    call(CLONE, 17, 0, 0, 0);
  }
}

/* ---------------------------------------------------------------------------------------------------------------------- */

#define PLAN_BYTES 262144

__attribute__((section(".entry"), noreturn, used)) void entry(void) {
  u64 plan[PLAN_BYTES / 8];
  u64 bytes = 0;
  char path[] = {'/', 't', 'm', 'p', '/', 'p', 'l', 'a', 'n', 0};
  i64 fd = call(OPENAT, (u64)-100, (u64)path, 0, 0);
  for (i64 got = 1; got > 0 && bytes < PLAN_BYTES; bytes += (u64)got) {
    got = call(READ, (u64)fd, (u64)plan + bytes, PLAN_BYTES - bytes, 0);
    if (got < 0) leave(2);
  }
  if (plan[0] == 0) try_all((const struct attempt *)(plan + 2), plan[1]);
  else if (plan[0] == 1) send_descriptor((char *)(plan + 2), plan[1]);
  else if (plan[0] == 3) take_locks((char *)(plan + 2), plan[1]);
  else run_bomb();
  put("end\n", 4);
  leave(0);
}
