/* Preloaded into a process: the n-th write, fsync or rename below a folder fails, as a disk might.
 *
 *   refuse_arm("write" | "fsync" | "rename", n, errno, folder)   n = 0: only count
 *   refuse_count("write" | "fsync" | "rename")                   how many there were since
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static char armed[16], root[4096];
static int at, error_number, counts[3];

static int *count_of(const char *kind)
{
    return &counts[*kind == 'w' ? 0 : *kind == 'f' ? 1 : 2];
}

void refuse_arm(const char *kind, int n, int number, const char *folder)
{
    counts[0] = counts[1] = counts[2] = 0, at = n, error_number = number;
    snprintf(armed, sizeof armed, "%s", kind);
    snprintf(root, sizeof root, "%s", folder);
}

int refuse_count(const char *kind) { return *count_of(kind); }

static int below(const char *path) { return root[0] && !strncmp(path, root, strlen(root)); }

static int refused(const char *kind, const char *path)
{
    if (!below(path))
        return 0;
    int number = __sync_add_and_fetch(count_of(kind), 1);
    if (number != at || strcmp(kind, armed))
        return 0;
    errno = error_number;
    return 1;
}

static int refused_fd(const char *kind, int fd)
{
    char link[64], path[4096];
    if (!root[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return refused(kind, path);
}

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size)
{
    return refused_fd("write", fd) ? -1 : REAL(write)(fd, data, size);
}
ssize_t writev(int fd, const struct iovec *parts, int number)
{
    return refused_fd("write", fd) ? -1 : REAL(writev)(fd, parts, number);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t place)
{
    return refused_fd("write", fd) ? -1 : REAL(pwrite)(fd, data, size, place);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place)
{
    return refused_fd("write", fd) ? -1 : REAL(pwrite64)(fd, data, size, place);
}
int fsync(int fd) { return refused_fd("fsync", fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return refused_fd("fsync", fd) ? -1 : REAL(fdatasync)(fd); }
int rename(const char *from, const char *to)
{
    return refused("rename", to) ? -1 : REAL(rename)(from, to);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return refused("rename", to) ? -1 : REAL(renameat)(from_fd, from, to_fd, to);
}
