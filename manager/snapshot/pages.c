/* SPDX-License-Identifier: BSD-2-Clause */
/* What Python cannot ask of the kernel about pages: which ones changed, and mapping over others.
 *
 * A run list is a byte string of pairs of 32-bit numbers in host order: a page's index in the
 * buffer and how many pages follow from there. Runs ascend and do not touch. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096ull

/* <linux/fs.h> and <linux/userfaultfd.h> of Linux 6.7, which build hosts may not have yet. */
struct region {
    uint64_t start, end, categories;
};
struct scan_request {
    uint64_t size, flags, start, end, walk_end, regions, regions_length, max_pages;
    uint64_t inverted, all_of, any_of, report;
};
#define PAGEMAP_SCAN_REQUEST _IOWR('f', 16, struct scan_request)
#define IS_WRITTEN (1ull << 1)
#define IS_FILE (1ull << 2)
#define IS_PRESENT (1ull << 3)
#define IS_SWAPPED (1ull << 4)
#define IS_ZERO (1ull << 5) /* the kernel's one page of zeros, which reading a hole gives */

struct uffd_range {
    uint64_t start, length;
};
struct uffd_api {
    uint64_t api, features, ioctls;
};
struct uffd_register {
    struct uffd_range range;
    uint64_t mode, ioctls;
};
struct uffd_protect {
    struct uffd_range range;
    uint64_t mode;
};
#define UFFD_API_REQUEST _IOWR(0xAA, 0x3F, struct uffd_api)
#define UFFD_REGISTER_REQUEST _IOWR(0xAA, 0x00, struct uffd_register)
#define UFFD_PROTECT_REQUEST _IOWR(0xAA, 0x06, struct uffd_protect)
#define UFFD_VERSION 0xAAull
#define UFFD_WP_ASYNC (1ull << 15)
#define UFFD_MODE_WP (1ull << 1)
#define UFFD_PROTECT_WP (1ull << 0)
#define UFFD_USER_ONLY 1

#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_FILE (1ull << 61)

struct runs {
    uint32_t *at;
    size_t used, room;
};

static int runs_add(struct runs *runs, uint64_t first, uint64_t count)
{
    if (runs->used > 0 && runs->at[runs->used - 2] + runs->at[runs->used - 1] == first) {
        runs->at[runs->used - 1] += (uint32_t)count;
        return 1;
    }
    if (runs->used + 2 > runs->room) {
        size_t room = runs->room ? 2 * runs->room : 1024;
        uint32_t *grown = realloc(runs->at, room * sizeof(*grown));
        if (grown == NULL)
            return 0;
        runs->at = grown;
        runs->room = room;
    }
    runs->at[runs->used++] = (uint32_t)first;
    runs->at[runs->used++] = (uint32_t)count;
    return 1;
}

static PyObject *runs_take(struct runs *runs, int failed)
{
    PyObject *result = NULL;
    if (failed) {
        errno = failed;
        PyErr_SetFromErrno(PyExc_OSError);
    } else
        result = PyBytes_FromStringAndSize((char *)runs->at,
                                           (Py_ssize_t)(runs->used * sizeof(*runs->at)));
    free(runs->at);
    return result;
}

static int whole_pages(const Py_buffer *buffer)
{
    if ((uintptr_t)buffer->buf % PAGE == 0 && (uint64_t)buffer->len % PAGE == 0 &&
        (uint64_t)buffer->len / PAGE <= UINT32_MAX)
        return 1;
    PyErr_SetString(PyExc_ValueError, "the buffer is not made of whole pages");
    return 0;
}

static int scan(int pagemap, const Py_buffer *buffer, struct scan_request request,
                struct runs *runs)
{
    struct region found[512];
    uint64_t base = (uintptr_t)buffer->buf;
    request.size = sizeof(request);
    request.start = base;
    request.end = base + (uint64_t)buffer->len;
    request.regions = (uintptr_t)found;
    request.regions_length = sizeof(found) / sizeof(*found);
    while (request.start < request.end) {
        int count = ioctl(pagemap, PAGEMAP_SCAN_REQUEST, &request);
        if (count < 0) {
            if (errno == EINTR)
                continue;
            return errno;
        }
        for (int i = 0; i < count; i++)
            if (!runs_add(runs, (found[i].start - base) / PAGE,
                          (found[i].end - found[i].start) / PAGE))
                return ENOMEM;
        request.start = request.walk_end;
    }
    return 0;
}

static PyObject *scan_with(PyObject *args, struct scan_request request)
{
    int pagemap;
    Py_buffer buffer;
    if (!PyArg_ParseTuple(args, "iy*", &pagemap, &buffer))
        return NULL;
    struct runs runs = {0};
    PyObject *result = NULL;
    if (whole_pages(&buffer)) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = scan(pagemap, &buffer, request, &runs);
        Py_END_ALLOW_THREADS
        result = runs_take(&runs, failed);
    }
    PyBuffer_Release(&buffer);
    return result;
}

static PyObject *scan_copied(PyObject *module, PyObject *args)
{
    (void)module;
    return scan_with(args, (struct scan_request){
        .inverted = IS_FILE | IS_ZERO, .all_of = IS_FILE | IS_ZERO, .any_of = IS_PRESENT | IS_SWAPPED,
        .report = IS_PRESENT});
}

static PyObject *scan_written(PyObject *module, PyObject *args)
{
    (void)module;
    return scan_with(args, (struct scan_request){.all_of = IS_WRITTEN, .report = IS_WRITTEN});
}

/* Pages that are mapped, but for those whose word has one of the bits `but`. */
static int read_pagemap(int pagemap, const Py_buffer *buffer, uint64_t but, struct runs *runs)
{
    uint64_t words[8192];
    uint64_t first = (uintptr_t)buffer->buf / PAGE, pages = (uint64_t)buffer->len / PAGE;
    for (uint64_t at = 0; at < pages;) {
        uint64_t want = pages - at;
        if (want > sizeof(words) / sizeof(*words))
            want = sizeof(words) / sizeof(*words);
        ssize_t got = pread(pagemap, words, want * 8, (off_t)((first + at) * 8));
        if (got <= 0)
            return got < 0 ? errno : EIO;
        for (uint64_t i = 0; i < (uint64_t)got / 8; i++, at++)
            if ((words[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) && !(words[i] & but) &&
                !runs_add(runs, at, 1))
                return ENOMEM;
    }
    return 0;
}

static PyObject *pagemap_with(PyObject *args, uint64_t but)
{
    int pagemap;
    Py_buffer buffer;
    if (!PyArg_ParseTuple(args, "iy*", &pagemap, &buffer))
        return NULL;
    struct runs runs = {0};
    PyObject *result = NULL;
    if (whole_pages(&buffer)) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = read_pagemap(pagemap, &buffer, but, &runs);
        Py_END_ALLOW_THREADS
        result = runs_take(&runs, failed);
    }
    PyBuffer_Release(&buffer);
    return result;
}

static PyObject *pagemap_copied(PyObject *module, PyObject *args)
{
    (void)module;
    return pagemap_with(args, PAGEMAP_FILE);
}

static PyObject *pagemap_touched(PyObject *module, PyObject *args)
{
    (void)module;
    return pagemap_with(args, 0);
}

static int is_zero(const char *page)
{
    const uint64_t *words = (const uint64_t *)page;
    uint64_t any = 0;
    for (size_t i = 0; i < PAGE / 8; i += 8) {
        for (size_t j = 0; j < 8; j++)
            any |= words[i + j];
        if (any)
            return 0;
    }
    return 1;
}

static PyObject *nonzero(PyObject *module, PyObject *argument)
{
    (void)module;
    Py_buffer buffer;
    if (PyObject_GetBuffer(argument, &buffer, PyBUF_SIMPLE) < 0)
        return NULL;
    struct runs runs = {0};
    int failed = 0;
    Py_BEGIN_ALLOW_THREADS
    for (uint64_t at = 0; at < (uint64_t)buffer.len / PAGE && !failed; at++)
        if (!is_zero((char *)buffer.buf + at * PAGE) && !runs_add(&runs, at, 1))
            failed = ENOMEM;
    Py_END_ALLOW_THREADS
    PyObject *result = runs_take(&runs, failed);
    PyBuffer_Release(&buffer);
    return result;
}

static PyObject *differing(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer one, other;
    if (!PyArg_ParseTuple(args, "y*y*", &one, &other))
        return NULL;
    struct runs runs = {0};
    int failed = one.len == other.len ? 0 : EINVAL;
    Py_BEGIN_ALLOW_THREADS
    for (uint64_t at = 0; at < (uint64_t)one.len / PAGE && !failed; at++)
        if (memcmp((char *)one.buf + at * PAGE, (char *)other.buf + at * PAGE, PAGE) != 0 &&
            !runs_add(&runs, at, 1))
            failed = ENOMEM;
    Py_END_ALLOW_THREADS
    PyObject *result = runs_take(&runs, failed);
    PyBuffer_Release(&one);
    PyBuffer_Release(&other);
    return result;
}

static PyObject *open_watch(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_ONLY);
    struct uffd_api api = {.api = UFFD_VERSION, .features = UFFD_WP_ASYNC};
    if (fd >= 0 && ioctl(fd, UFFD_API_REQUEST, &api) < 0) {
        int failed = errno;
        close(fd);
        errno = failed;
        fd = -1;
    }
    return fd < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(fd);
}

static PyObject *watch(PyObject *module, PyObject *args)
{
    (void)module;
    int fd, failed = 0;
    Py_buffer buffer;
    if (!PyArg_ParseTuple(args, "iw*", &fd, &buffer))
        return NULL;
    if (!whole_pages(&buffer)) {
        PyBuffer_Release(&buffer);
        return NULL;
    }
    struct uffd_range range = {(uintptr_t)buffer.buf, (uint64_t)buffer.len};
    struct uffd_register entry = {.range = range, .mode = UFFD_MODE_WP};
    struct uffd_protect protect = {.range = range, .mode = UFFD_PROTECT_WP};
    Py_BEGIN_ALLOW_THREADS
    if (ioctl(fd, UFFD_REGISTER_REQUEST, &entry) < 0 || ioctl(fd, UFFD_PROTECT_REQUEST, &protect) < 0)
        failed = errno;
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&buffer);
    if (failed) {
        errno = failed;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

#define BATCH 256

/* Runs that are to be copied, and follow each other in the file. */
struct copies {
    struct iovec parts[BATCH];
    int count;
    uint64_t offset;
};

static int copy_all(struct copies *copies, int fd)
{
    struct iovec *part = copies->parts;
    int left = copies->count;
    copies->count = 0;
    while (left > 0) {
        ssize_t got = preadv(fd, part, left, (off_t)copies->offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : EIO;
        copies->offset += (uint64_t)got;
        while (left > 0 && (size_t)got >= part->iov_len) {
            got -= (ssize_t)part->iov_len;
            part++;
            left--;
        }
        if (got > 0) {
            part->iov_base = (char *)part->iov_base + got;
            part->iov_len -= (size_t)got;
        }
    }
    return 0;
}

static int overlay_runs(const Py_buffer *buffer, const Py_buffer *list, int fd, uint64_t offset,
                        uint64_t least)
{
    struct copies copies = {.count = 0};
    const uint32_t *runs = list->buf;
    uint64_t pages = (uint64_t)buffer->len / PAGE;
    int failed = 0;
    for (Py_ssize_t i = 0; i + 2 <= list->len / 4 && !failed; i += 2) {
        uint64_t first = runs[i], length = runs[i + 1] * PAGE;
        char *at = (char *)buffer->buf + first * PAGE;
        if (first + runs[i + 1] > pages)
            return EINVAL;
        if (copies.count == BATCH || length >= least * PAGE)
            failed = copy_all(&copies, fd);
        if (failed)
            break;
        if (length >= least * PAGE) {
            if (mmap(at, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
                     (off_t)offset) == MAP_FAILED)
                failed = errno;
        } else {
            if (copies.count == 0)
                copies.offset = offset;
            copies.parts[copies.count++] = (struct iovec){at, length};
        }
        offset += length;
    }
    return failed ? failed : copy_all(&copies, fd);
}

static PyObject *overlay(PyObject *module, PyObject *args)
{
    (void)module;
    int fd;
    unsigned long long offset;
    unsigned least;
    Py_buffer buffer, list;
    if (!PyArg_ParseTuple(args, "w*iKy*I", &buffer, &fd, &offset, &list, &least))
        return NULL;
    if (whole_pages(&buffer)) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = overlay_runs(&buffer, &list, fd, offset, least);
        Py_END_ALLOW_THREADS
        if (failed) {
            errno = failed;
            PyErr_SetFromErrno(PyExc_OSError);
        }
    }
    PyBuffer_Release(&buffer);
    PyBuffer_Release(&list);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *is_tmpfs(PyObject *module, PyObject *argument)
{
    (void)module;
    struct statfs found;
    int fd = PyObject_AsFileDescriptor(argument);
    if (fd < 0)
        return NULL;
    if (fstatfs(fd, &found) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyBool_FromLong(found.f_type == TMPFS_MAGIC);
}

static PyMethodDef methods[] = {
    {"scan_copied", scan_copied, METH_VARARGS,
     "scan_copied(pagemap, buffer): pages of a private file mapping that are copies, by ioctl"},
    {"scan_written", scan_written, METH_VARARGS,
     "scan_written(pagemap, buffer): pages written since watch()"},
    {"pagemap_copied", pagemap_copied, METH_VARARGS,
     "pagemap_copied(pagemap, buffer): as scan_copied, on kernels without the ioctl"},
    {"pagemap_touched", pagemap_touched, METH_VARARGS,
     "pagemap_touched(pagemap, buffer): pages that were read or written, or are near such"},
    {"nonzero", nonzero, METH_O, "nonzero(buffer): pages that hold anything but zeros"},
    {"differing", differing, METH_VARARGS, "differing(one, other): pages that are not equal"},
    {"open_watch", open_watch, METH_NOARGS, "open_watch(): a descriptor for watch()"},
    {"watch", watch, METH_VARARGS, "watch(descriptor, buffer): note writes from now on"},
    {"overlay", overlay, METH_VARARGS,
     "overlay(buffer, file, offset, runs, least): put pages of a file over those of a mapping;\n"
     "runs of at least that many pages are mapped, shorter ones copied"},
    {"is_tmpfs", is_tmpfs, METH_O, "is_tmpfs(file): whether its filesystem lives in memory"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_pages", "Pages and the kernel.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__pages(void)
{
    return PyModule_Create(&definition);
}
