/*
 * A file layer that forgets unsynced writes: preload it into programs that work in one folder, kill them,
 * and rebuild the folder from the shadow: it then holds what would have survived a power loss.
 *
 * Model. Nothing is durable but what was synced. The shadow is a small file system of its own:
 *
 *   SHADOW/files/KEY   content and mode of a file at its last fsync or fdatasync
 *   SHADOW/dirs/KEY    names that a directory held durably: records of four fields, each ended by a zero byte:
 *                      type (f, d or l), key (for l the target), mode in octal, name
 *   SHADOW/lock        held (flock) while one process and thread changes the shadow
 *   SHADOW/draft       what is being written, before it is renamed into its place
 *
 * KEY names an inode: its number and birth time, so that a number used again is another file; the top folder
 * has the key "root". Because files are known by inode and names only by the listings, renames, unlinks and
 * mkdirs need no interception: they are pending until a sync makes a directory's listing durable.
 *
 * - fsync or fdatasync of a directory stores its listing as it is now.
 * - fsync or fdatasync of a file stores its content. By default it also makes its present name durable, and
 *   those of the directories above, as ext4 does. With STRONGROOM_POWERLOSS_STRICT_DIRS=1 it does not: a new or renamed
 *   file whose directory was never synced is lost, which is all that POSIX promises.
 * - A name that is durable without its content gives an empty file.
 *
 * Not seen, and so never durable: sync, syncfs, sync_file_range, msync, O_SYNC and O_DSYNC, io_uring, system
 * calls made without libc, programs that are linked statically. All of these err on the side of losing.
 *
 * Environment: STRONGROOM_POWERLOSS_ROOT and STRONGROOM_POWERLOSS_SHADOW (absolute, without symbolic links), STRONGROOM_POWERLOSS_STRICT_DIRS.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MAX_BYTES 64

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static char root[PATH_MAX];
static char shadow[PATH_MAX];
static int is_strict;

/* The simulation must never be wrong in silence: what it cannot do ends the program. */
static void die(const char *what)
{
    dprintf(2, "powerloss: %s: %s\n", what, strerror(errno));
    _exit(120);
}

static char *joined(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        die("memory");
    va_end(arguments);
    return text;
}

__attribute__((constructor)) static void start(void)
{
    const char *root_text = getenv("STRONGROOM_POWERLOSS_ROOT");
    const char *shadow_text = getenv("STRONGROOM_POWERLOSS_SHADOW");
    const char *strict_text = getenv("STRONGROOM_POWERLOSS_STRICT_DIRS");
    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (root_text != NULL && shadow_text != NULL) {
        snprintf(root, sizeof root, "%s", root_text);
        snprintf(shadow, sizeof shadow, "%s", shadow_text);
    }
    is_strict = strict_text != NULL && strcmp(strict_text, "1") == 0;
}

/* --- the shadow ------------------------------------------------------------------------------------ */

static int lock_shadow(void)
{
    char *path = joined("%s/lock", shadow);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        die(path);
    free(path);
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR)
            die("flock");
    return fd;
}

static int open_draft(mode_t mode)
{
    char *path = joined("%s/draft", shadow);
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, mode) != 0)
        die(path);
    free(path);
    return fd;
}

static void publish_draft(int fd, const char *kind, const char *key)
{
    char *draft = joined("%s/draft", shadow);
    char *place = joined("%s/%s/%s", shadow, kind, key);
    if (close(fd) != 0 || rename(draft, place) != 0)
        die(place);
    free(draft);
    free(place);
}

static void write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            die("write to the shadow");
        data += written;
        length -= (size_t)written;
    }
}

/* --- inodes ---------------------------------------------------------------------------------------- */

/* Fill in the key of an inode; 0 if there is none of that name. An empty name means the descriptor itself. */
static int identify(int dir_fd, const char *name, struct statx *found, char key[KEY_MAX_BYTES])
{
    int flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
    if (statx(dir_fd, name, flags, STATX_BASIC_STATS | STATX_BTIME, found) != 0)
        return 0;
    if (!(found->stx_mask & STATX_BTIME)) {
        errno = ENOTSUP;
        die("the file system tells no birth times");
    }
    snprintf(key, KEY_MAX_BYTES, "%llx-%llx.%x", (unsigned long long)found->stx_ino,
             (unsigned long long)found->stx_btime.tv_sec, found->stx_btime.tv_nsec);
    return 1;
}

static void key_of_folder(const char *path, char key[KEY_MAX_BYTES])
{
    struct statx found;
    if (strcmp(path, root) == 0)
        strcpy(key, "root");
    else if (!identify(AT_FDCWD, path, &found, key))
        strcpy(key, "gone");
}

/* --- listings -------------------------------------------------------------------------------------- */

struct record {
    const char *type, *key, *mode, *name;
};

static int next_record(char **at, char *end, struct record *record)
{
    const char **fields[] = {&record->type, &record->key, &record->mode, &record->name};
    for (int i = 0; i < 4; i++) {
        if (*at >= end)
            return 0;
        *fields[i] = *at;
        *at += strlen(*at) + 1;
    }
    return 1;
}

static void write_record(int fd, const struct record *record)
{
    const char *fields[] = {record->type, record->key, record->mode, record->name};
    for (int i = 0; i < 4; i++)
        write_all(fd, fields[i], strlen(fields[i]) + 1);
}

static char *read_listing(const char *key, size_t *length)
{
    char *path = joined("%s/dirs/%s", shadow, key);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat found;
    free(path);
    *length = 0;
    if (fd < 0)
        return calloc(1, 1);
    if (fstat(fd, &found) != 0)
        die("stat of a listing");
    char *data = calloc(1, (size_t)found.st_size + 1);
    if (data == NULL || read(fd, data, (size_t)found.st_size) != found.st_size)
        die("read of a listing");
    close(fd);
    *length = (size_t)found.st_size;
    return data;
}

/* Whether a record of the old listing still holds once `fresh` is in it. */
static int stays(const struct record *old, const struct record *fresh, const char *folder)
{
    if (strcmp(old->name, fresh->name) == 0)
        return 0;
    if (strcmp(old->key, fresh->key) != 0)
        return 1;
    /* The same inode under another name: it was renamed, unless it is a hard link that still stands. */
    struct statx found;
    char key[KEY_MAX_BYTES];
    char *path = joined("%s/%s", folder, old->name);
    int is_there = identify(AT_FDCWD, path, &found, key) && strcmp(key, old->key) == 0;
    free(path);
    return is_there;
}

static void add_name(const char *folder, const struct record *fresh)
{
    char folder_key[KEY_MAX_BYTES];
    size_t length;
    struct record old;
    key_of_folder(folder, folder_key);
    char *data = read_listing(folder_key, &length), *at = data;
    int is_known = 0;
    while (next_record(&at, data + length, &old))
        is_known |= strcmp(old.name, fresh->name) == 0 && strcmp(old.key, fresh->key) == 0 &&
                    strcmp(old.mode, fresh->mode) == 0;
    if (!is_known) {
        int draft = open_draft(0600);
        at = data;
        while (next_record(&at, data + length, &old))
            if (stays(&old, fresh, folder))
                write_record(draft, &old);
        write_record(draft, fresh);
        publish_draft(draft, "dirs", folder_key);
    }
    free(data);
}

/* Make the name of a path durable, and those of the directories above it. */
static void add_names_up(const char *path)
{
    char *folder = strdup(path), *slash;
    struct statx found;
    char key[KEY_MAX_BYTES], mode[16];
    while (strcmp(folder, root) != 0 && (slash = strrchr(folder, '/')) != NULL) {
        if (!identify(AT_FDCWD, folder, &found, key))
            break; /* removed or renamed in this moment: its name is pending */
        snprintf(mode, sizeof mode, "%o", found.stx_mode & 07777);
        struct record fresh = {S_ISDIR(found.stx_mode) ? "d" : "f", key, mode, slash + 1};
        *slash = '\0';
        add_name(folder, &fresh);
    }
    free(folder);
}

static void store_listing(int dir_fd, const char *path)
{
    char folder_key[KEY_MAX_BYTES], key[KEY_MAX_BYTES], mode[16], target[PATH_MAX];
    struct statx found;
    struct dirent *entry;
    int own_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = own_fd < 0 ? NULL : fdopendir(own_fd);
    if (listing == NULL)
        die(path);
    key_of_folder(path, folder_key);
    int draft = open_draft(0600);
    while ((entry = readdir(listing)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!identify(own_fd, entry->d_name, &found, key))
            continue;
        snprintf(mode, sizeof mode, "%o", found.stx_mode & 07777);
        struct record fresh = {"f", key, mode, entry->d_name};
        if (S_ISDIR(found.stx_mode)) {
            fresh.type = "d";
        } else if (S_ISLNK(found.stx_mode)) {
            ssize_t length = readlinkat(own_fd, entry->d_name, target, sizeof target - 1);
            if (length < 0)
                continue;
            target[length] = '\0';
            fresh.type = "l";
            fresh.key = target;
        } else if (!S_ISREG(found.stx_mode)) {
            continue;
        }
        write_record(draft, &fresh);
    }
    closedir(listing);
    publish_draft(draft, "dirs", folder_key);
}

/* --- content --------------------------------------------------------------------------------------- */

static void store_content(int fd, const struct statx *found, const char *key)
{
    static char buffer[1 << 18]; /* guarded by the lock of the shadow */
    int source = fd, access = fcntl(fd, F_GETFL) & O_ACCMODE;
    off_t offset = 0;
    ssize_t length;
    /* A second descriptor only where there is no way round it: closing one drops the process's POSIX locks on
     * the file, which SQLite relies on. */
    if (access == O_WRONLY) {
        char *path = joined("/proc/self/fd/%d", fd);
        source = open(path, O_RDONLY | O_CLOEXEC);
        free(path);
        if (source < 0)
            die("open for reading");
    }
    int draft = open_draft(found->stx_mode & 07777);
    while ((length = pread(source, buffer, sizeof buffer, offset)) != 0) {
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            die("read of a synced file");
        write_all(draft, buffer, (size_t)length);
        offset += length;
    }
    if (source != fd)
        close(source);
    publish_draft(draft, "files", key);
}

/* --- what is intercepted --------------------------------------------------------------------------- */

static int is_below_root(const char *path)
{
    size_t length = strlen(root);
    return length > 0 && strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static void on_sync(int fd)
{
    char path[PATH_MAX], link[64], key[KEY_MAX_BYTES];
    struct statx found;
    int errno_before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
    if (is_below_root(path)) {
        int lock = lock_shadow(); /* a descriptor of its own: it excludes other threads as well */
        /* Asked under the lock: a rename in between must not bring back an older name. */
        length = readlink(link, path, sizeof path - 1);
        path[length < 0 ? 0 : length] = '\0';
        if (identify(fd, "", &found, key) && found.stx_nlink > 0 && is_below_root(path)) {
            if (S_ISREG(found.stx_mode))
                store_content(fd, &found, key);
            else if (S_ISDIR(found.stx_mode))
                store_listing(fd, path);
            if (!is_strict)
                add_names_up(path);
        }
        flock(lock, LOCK_UN); /* not left to close: a child forked in this moment has the descriptor too */
        close(lock);
    }
    errno = errno_before;
}

int fsync(int fd)
{
    int result = real_fsync(fd);
    if (result == 0)
        on_sync(fd);
    return result;
}

int fdatasync(int fd)
{
    int result = real_fdatasync(fd);
    if (result == 0)
        on_sync(fd);
    return result;
}
