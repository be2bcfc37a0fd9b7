# SPDX-License-Identifier: Apache-2.0
"""A program that lies about its executable by prctl(PR_SET_MM_MAP), and then asks as callers.C_CLIENT does.

forger FILE|- here|own [ADDRESS PORT]: "own" enters a user namespace of its own first, where everybody has the capability that
the call demands. Without an address it prints what came of it. "-" lies about nothing.
The kernel lets a process go from its file only when nothing of it is mapped any more: so it moves into anonymous memory.
"""
FORGER = r"""
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>

struct range {
  char *begin;
  size_t size;
  int protection;
};

/* What of the file behind /proc/self/exe is mapped. */
static int own_ranges(struct range *out, int most) {
  char line[4600], self[4096] = "", path[4096], rights[5];
  unsigned long begin, end;
  int count = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  if (maps == NULL || readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
    return -1;
  while (count < most && fgets(line, sizeof(line), maps) != NULL) {
    if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %4095s", &begin, &end, rights, path) != 4 || strcmp(path, self) != 0)
      continue;
    out[count].begin = (char *)begin;
    out[count].size = end - begin;
    out[count++].protection =
        (rights[0] == 'r' ? PROT_READ : 0) | (rights[1] == 'w' ? PROT_WRITE : 0) | (rights[2] == 'x' ? PROT_EXEC : 0);
  }
  fclose(maps);
  return count;
}

/* Every range by a copy of itself, which takes its place in one step. */
static int leave_own_file(void) {
  struct range all[32];
  int count = own_ranges(all, 32);
  for (int i = 0; i < count; i++) {
    char *copy = mmap(NULL, all[i].size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
      return -1;
    memcpy(copy, all[i].begin, all[i].size);
    if (mprotect(copy, all[i].size, all[i].protection) != 0 ||
        mremap(copy, all[i].size, all[i].size, MREMAP_MAYMOVE | MREMAP_FIXED, all[i].begin) == MAP_FAILED)
      return -1;
  }
  return count > 0 ? 0 : -1;
}

/* Addresses as they are, by the numbers that proc(5) gives the fields of /proc/self/stat. */
static int read_map(struct prctl_mm_map *map) {
  char text[4096];
  uint64_t field[52] = {0};
  FILE *stat = fopen("/proc/self/stat", "r");
  if (stat == NULL || fgets(text, sizeof(text), stat) == NULL)
    return -1;
  fclose(stat);
  char *at = strrchr(text, ')');
  at = at == NULL ? NULL : strtok(at + 1, " ");
  for (int i = 3; i <= 51 && at != NULL; i++, at = strtok(NULL, " "))
    field[i] = strtoull(at, NULL, 10);
  *map = (struct prctl_mm_map){.start_code = field[26], .end_code = field[27], .start_stack = field[28],
                               .start_data = field[45], .end_data = field[46], .start_brk = field[47],
                               .brk = (uint64_t)sbrk(0), .arg_start = field[48], .arg_end = field[49],
                               .env_start = field[50], .env_end = field[51]};
  return 0;
}

static int forge(const char *file, int own_namespace) {
  struct prctl_mm_map map;
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || (own_namespace && unshare(CLONE_NEWUSER) != 0) || read_map(&map) != 0 || leave_own_file() != 0)
    return -1;
  map.exe_fd = (uint32_t)fd;
  return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
}

int main(int count, char **arguments) {
  int failed = 0;
  if (count < 3)
    return 2;
  if (strcmp(arguments[1], "-") != 0 && forge(arguments[1], strcmp(arguments[2], "own") == 0) != 0)
    failed = errno;
  if (count == 3) {
    puts(failed == 0 ? "done" : strerrorname_np(failed));
    return 0;
  }
  return ask_as_told(count - 2, arguments + 2);
}
"""
