/* Preloaded into a process: appends a line to $TRACE_LOG for every change below $TRACE_ROOT.
 *
 *   create|write|shared|fsync|mkdir|remove PATH      rename OLD NEW      sync
 *
 * Fields are separated by tabs. "create" is an open of a file that was not there; "shared" a
 * writable mapping. Calls that fail leave no line.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *root(void)
{
    const char *found = getenv("TRACE_ROOT");
    return found && found[0] ? found : NULL;
}

static void line(const char *what, const char *one, const char *two)
{
    const char *log = getenv("TRACE_LOG"), *top = root();
    char text[3 * PATH_MAX];
    if (!log || !top)
        return;
    size_t length = strlen(top);
    if (one && strncmp(one, top, length) && (!two || strncmp(two, top, length)))
        return;
    int saved = errno;
    int size = snprintf(text, sizeof text, "%s%s%s%s%s\n", what, one ? "\t" : "", one ? one : "",
                        two ? "\t" : "", two ? two : "");
    int fd = REAL(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0) {
        if (REAL(write)(fd, text, size) != size)
            abort();
        REAL(close)(fd);
    }
    errno = saved;
}

/* The path of a descriptor; 0 where it is no file or folder that has one. */
static int path_of(int fd, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int saved = errno;
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    errno = saved;
    if (size <= 0 || path[0] != '/')
        return 0;
    path[size] = 0;
    return 1;
}

static void of_fd(const char *what, int fd)
{
    char path[PATH_MAX];
    if (root() && path_of(fd, path))
        line(what, path, NULL);
}

/* `path` as seen from the folder `at`, absolute, without following its last part. */
static const char *absolute(int at, const char *path, char *whole)
{
    char folder[PATH_MAX];
    if (path[0] == '/')
        snprintf(whole, PATH_MAX, "%s", path);
    else {
        if (at == AT_FDCWD ? !getcwd(folder, sizeof folder) : !path_of(at, folder))
            return path;
        snprintf(whole, PATH_MAX, "%s/%s", folder, path);
    }
    return whole;
}

static void of_path(const char *what, int at, const char *path)
{
    char whole[PATH_MAX];
    line(what, absolute(at, path, whole), NULL);
}

static int opened(int at, const char *path, int flags, mode_t mode)
{
    struct stat state;
    int saved = errno, known = fstatat(at, path, &state, 0) == 0;
    errno = saved;
    int fd = REAL(openat)(at, path, flags, mode);
    if (fd >= 0 && (flags & O_TMPFILE) != O_TMPFILE) {
        if ((flags & O_CREAT) && !known)
            of_path("create", at, path);
        if ((flags & O_ACCMODE) != O_RDONLY) /* also what the C library writes by itself */
            of_fd("write", fd);
    }
    return fd;
}

#define MODE(last)                                                                                 \
    mode_t mode = 0;                                                                               \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                           \
        va_list rest;                                                                              \
        va_start(rest, last);                                                                      \
        mode = va_arg(rest, mode_t);                                                               \
        va_end(rest);                                                                              \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

#define LOGGED(type, name, parameters, values, failed, log)                                        \
    type name parameters                                                                           \
    {                                                                                              \
        type done = REAL(name) values;                                                             \
        if (!(failed))                                                                             \
            log;                                                                                   \
        return done;                                                                               \
    }

LOGGED(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), done <= 0, of_fd("write", fd))
LOGGED(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), done <= 0, of_fd("write", fd))
LOGGED(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), done <= 0, of_fd("write", fd))
LOGGED(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), done <= 0, of_fd("write", fd))
LOGGED(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at), done <= 0, of_fd("write", fd))
LOGGED(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at), done <= 0, of_fd("write", fd))
LOGGED(ssize_t, sendfile, (int to, int from, off_t *at, size_t size), (to, from, at, size), done <= 0, of_fd("write", to))
LOGGED(ssize_t, sendfile64, (int to, int from, off64_t *at, size_t size), (to, from, at, size), done <= 0, of_fd("write", to))
LOGGED(ssize_t, copy_file_range, (int from, off64_t *a, int to, off64_t *b, size_t size, unsigned flags), (from, a, to, b, size, flags), done <= 0, of_fd("write", to))
LOGGED(int, ftruncate, (int fd, off_t size), (fd, size), done, of_fd("write", fd))
LOGGED(int, ftruncate64, (int fd, off64_t size), (fd, size), done, of_fd("write", fd))
LOGGED(int, truncate, (const char *path, off_t size), (path, size), done, of_path("write", AT_FDCWD, path))
LOGGED(int, truncate64, (const char *path, off64_t size), (path, size), done, of_path("write", AT_FDCWD, path))
LOGGED(int, fsync, (int fd), (fd), done, of_fd("fsync", fd))
LOGGED(int, fdatasync, (int fd), (fd), done, of_fd("fsync", fd))
LOGGED(int, syncfs, (int fd), (fd), done, line("sync", NULL, NULL))
LOGGED(int, mkdir, (const char *path, mode_t mode), (path, mode), done, of_path("mkdir", AT_FDCWD, path))
LOGGED(int, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode), done, of_path("mkdir", at, path))
LOGGED(int, unlink, (const char *path), (path), done, of_path("remove", AT_FDCWD, path))
LOGGED(int, rmdir, (const char *path), (path), done, of_path("remove", AT_FDCWD, path))
LOGGED(int, unlinkat, (int at, const char *path, int flags), (at, path, flags), done, of_path("remove", at, path))

void sync(void)
{
    REAL(sync)();
    line("sync", NULL, NULL);
}

static void renamed(int a, const char *old, int b, const char *new)
{
    char one[PATH_MAX], two[PATH_MAX];
    line("rename", absolute(a, old, one), absolute(b, new, two));
}

LOGGED(int, rename, (const char *old, const char *new), (old, new), done, renamed(AT_FDCWD, old, AT_FDCWD, new))
LOGGED(int, renameat, (int a, const char *old, int b, const char *new), (a, old, b, new), done, renamed(a, old, b, new))
LOGGED(int, renameat2, (int a, const char *old, int b, const char *new, unsigned flags), (a, old, b, new, flags), done, renamed(a, old, b, new))
LOGGED(int, link, (const char *old, const char *new), (old, new), done, of_path("create", AT_FDCWD, new))
LOGGED(int, linkat, (int a, const char *old, int b, const char *new, int flags), (a, old, b, new, flags), done, of_path("create", b, new))
LOGGED(int, symlink, (const char *to, const char *path), (to, path), done, of_path("create", AT_FDCWD, path))
LOGGED(int, symlinkat, (const char *to, int at, const char *path), (to, at, path), done, of_path("create", at, path))

static void mapped(void *done, int access, int flags, int fd)
{
    if (done != MAP_FAILED && (access & PROT_WRITE) && (flags & MAP_SHARED) && fd >= 0)
        of_fd("shared", fd);
}

void *mmap(void *at, size_t size, int access, int flags, int fd, off_t from)
{
    void *done = REAL(mmap)(at, size, access, flags, fd, from);
    mapped(done, access, flags, fd);
    return done;
}

void *mmap64(void *at, size_t size, int access, int flags, int fd, off64_t from)
{
    void *done = REAL(mmap64)(at, size, access, flags, fd, from);
    mapped(done, access, flags, fd);
    return done;
}
