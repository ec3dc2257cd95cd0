/*
 * What this machine's kernel charges for what sandboxes are made of. Prints a line for each round of each: its name, and
 * the price of one. Prices of what one process does are its own processor time, so that a busy machine does not raise them.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 15, CALLS = 2000, SWITCHES = 500, FAULTED_MIB = 4, FORKED_MIB = 32, MIB = 1 << 20 };

static double now_us(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static void check(int failed, const char *what) {
  if (!failed) return;
  perror(what);
  exit(1);
}

/* Memory in small pages, as a fork's is. */
static char *map(size_t bytes) {
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(memory == MAP_FAILED, "mmap");
  madvise(memory, bytes, MADV_NOHUGEPAGE);
  return memory;
}

static long touch(char *memory, size_t bytes) {
  long page = sysconf(_SC_PAGESIZE), pages = 0;
  for (size_t at = 0; at < bytes; at += page, pages++) memory[at] = 1;
  return pages;
}

static void system_call(void) {
  double start = now_us(CLOCK_THREAD_CPUTIME_ID);
  for (int call = 0; call < CALLS; call++) syscall(SYS_getppid);
  printf("systemCallUs %.5f\n", (now_us(CLOCK_THREAD_CPUTIME_ID) - start) / CALLS);
}

static void page_fault(void) {
  size_t bytes = (size_t)FAULTED_MIB * MIB;
  char *memory = map(bytes);
  double start = now_us(CLOCK_THREAD_CPUTIME_ID);
  long pages = touch(memory, bytes);
  printf("pageFaultUs %.5f\n", (now_us(CLOCK_THREAD_CPUTIME_ID) - start) / pages);
  munmap(memory, bytes);
}

/* From the fork until its child, which ends at once, is reaped. */
static void fork_of_a_process(void) {
  double start = now_us(CLOCK_MONOTONIC);
  pid_t child = fork();
  check(child < 0, "fork");
  if (child == 0) _exit(0);
  check(waitpid(child, NULL, 0) != child, "waitpid");
  printf("forkMs %.5f\n", (now_us(CLOCK_MONOTONIC) - start) / 1e3);
}

/* Half of what a byte takes to another process on the same processor and back. */
static void context_switch(void) {
  int there[2], back[2];
  char byte = 0;
  check(pipe(there) || pipe(back), "pipe");
  pid_t child = fork();
  check(child < 0, "fork");
  if (child == 0) {
    close(there[1]);
    while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1);
    _exit(0);
  }
  double start = now_us(CLOCK_MONOTONIC);
  for (int turn = 0; turn < SWITCHES; turn++)
    check(write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1, "pipe");
  printf("contextSwitchUs %.5f\n", (now_us(CLOCK_MONOTONIC) - start) / SWITCHES / 2);
  for (int end = 0; end < 2; end++) close(there[end]), close(back[end]);
  check(waitpid(child, NULL, 0) != child, "waitpid");
}

int main(void) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  check(sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
  for (int round = 0; round < ROUNDS; round++) system_call(), page_fault(), context_switch();
  size_t bytes = (size_t)FORKED_MIB * MIB;
  touch(map(bytes), bytes);
  for (int round = 0; round < ROUNDS; round++) {
    fflush(stdout);
    fork_of_a_process();
  }
  return 0;
}
