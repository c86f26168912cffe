/* Makes writes and syncs, or reads, fail, so that tests see how a program reacts. Load it with LD_PRELOAD.
 *
 * FAULT_PATH   a part of the path of the affected files
 * FAULT_AT     number of the first call that fails, from 1; with 0 calls are only counted
 * FAULT_COUNT  number of calls that fail from there on (1)
 * FAULT_ERRNO  error number of a call that fails (5: EIO)
 * FAULT_WHILE  a file; calls fail only while it exists
 * FAULT_READS  if set, reads fail instead of writes and syncs
 * FAULT_LOG    a file for the number of calls and of failed calls, written at the end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls, failed;

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

static int is_watched(int fd, int reads) {
    if (reads != (getenv("FAULT_READS") != NULL)) return 0;
    const char *part = getenv("FAULT_PATH");
    char link[64], path[4096];
    if (!part) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, part) != NULL;
}

/* Reports whether this call fails; errno then holds the error. */
static int fails(int fd, int reads) {
    int before = errno;
    if (!is_watched(fd, reads)) {
        errno = before;
        return 0;
    }
    long call = atomic_fetch_add(&calls, 1) + 1, first = number("FAULT_AT", 0);
    const char *only_while = getenv("FAULT_WHILE");
    int due = first > 0 && call >= first && call < first + number("FAULT_COUNT", 1)
        && (!only_while || access(only_while, F_OK) == 0);
    if (due) atomic_fetch_add(&failed, 1);
    errno = due ? (int)number("FAULT_ERRNO", EIO) : before;
    return due;
}

#define REAL(result, name, parameters, arguments) HOOK(0, result, name, parameters, arguments)
#define HOOK(reads, result, name, parameters, arguments)                                                               \
    result name parameters {                                                                                           \
        static result(*real) parameters;                                                                               \
        if (!real) real = (result(*) parameters)dlsym(RTLD_NEXT, #name);                                               \
        return fails(fd, reads) ? -1 : real arguments;                                                                        \
    }

HOOK(1, ssize_t, read, (int fd, void *bytes, size_t length), (fd, bytes, length))
REAL(ssize_t, write, (int fd, const void *bytes, size_t length), (fd, bytes, length))
REAL(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
REAL(ssize_t, pwrite, (int fd, const void *bytes, size_t length, off_t at), (fd, bytes, length, at))
REAL(ssize_t, pwrite64, (int fd, const void *bytes, size_t length, off64_t at), (fd, bytes, length, at))
REAL(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at))
REAL(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at))
REAL(int, fsync, (int fd), (fd))
REAL(int, fdatasync, (int fd), (fd))
REAL(int, ftruncate, (int fd, off_t length), (fd, length))
REAL(int, ftruncate64, (int fd, off64_t length), (fd, length))

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("FAULT_LOG");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld %ld\n", atomic_load(&calls), atomic_load(&failed));
    fclose(file);
}
