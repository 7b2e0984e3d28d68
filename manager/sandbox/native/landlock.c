/* SPDX-License-Identifier: BSD-2-Clause */
/* Landlock, by its three system calls: Linux, Documentation/userspace-api/landlock.rst. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The numbers are the same on every architecture; build hosts may have older headers. */
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 };
enum { ASK_FOR_VERSION = 1 };
enum { PATH_BENEATH = 1, NET_PORT = 2 };

/* <linux/landlock.h> of Linux 6.12. */
struct ruleset {
    uint64_t fs, net, scoped;
};
struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));
struct net_port {
    uint64_t allowed, port;
};

/* Rights that a file can have: execute, write, read, truncate, ioctl of devices. */
#define OF_FILES (1u << 0 | 1u << 1 | 1u << 2 | 1u << 14 | 1u << 15)

PyObject *landlock_abi(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    long version = syscall(CREATE_RULESET, NULL, 0, ASK_FOR_VERSION);
    return version < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(version);
}

/* A place that is not there, or not ours, needs no rule: nothing there can be reached. */
static int allow_path(int rules, const char *path, uint64_t rights)
{
    struct stat status;
    struct path_beneath rule = {rights, open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent < 0)
        return 0;
    int failed = fstat(rule.parent, &status);
    if (!failed && !S_ISDIR(status.st_mode))
        rule.allowed &= OF_FILES;
    if (!failed && rule.allowed != 0)
        failed = (int)syscall(ADD_RULE, rules, PATH_BENEATH, &rule, 0);
    int error = errno;
    close(rule.parent);
    errno = error;
    return failed;
}

static int allow_paths(int rules, PyObject *paths)
{
    PyObject *path, *rights;
    Py_ssize_t at = 0;
    while (PyDict_Next(paths, &at, &path, &rights)) {
        PyObject *encoded;
        uint64_t mask = PyLong_AsUnsignedLongLong(rights);
        if (PyErr_Occurred() || !PyUnicode_FSConverter(path, &encoded))
            return -1;
        int failed = allow_path(rules, PyBytes_AsString(encoded), mask);
        Py_DECREF(encoded);
        if (failed) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
    }
    return 0;
}

static int allow_ports(int rules, PyObject *ports)
{
    PyObject *port, *rights;
    Py_ssize_t at = 0;
    while (PyDict_Next(ports, &at, &port, &rights)) {
        struct net_port rule = {PyLong_AsUnsignedLongLong(rights), PyLong_AsUnsignedLongLong(port)};
        if (PyErr_Occurred())
            return -1;
        if (syscall(ADD_RULE, rules, NET_PORT, &rule, 0) < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
    }
    return 0;
}

/* landlock(size, fs, net, scoped, paths, ports): the first `size` bytes of the ruleset are known
 * to this kernel; dicts of place -> rights say what is left. For the thread that calls. */
PyObject *landlock(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned long long fs, net, scoped;
    Py_ssize_t size;
    PyObject *paths, *ports;
    if (!PyArg_ParseTuple(args, "nKKKO!O!", &size, &fs, &net, &scoped, &PyDict_Type, &paths,
                          &PyDict_Type, &ports))
        return NULL;
    struct ruleset handled = {fs, net, scoped};
    int rules = (int)syscall(CREATE_RULESET, &handled, (size_t)size, 0);
    if (rules < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (!allow_paths(rules, paths) && !allow_ports(rules, ports) &&
        syscall(RESTRICT_SELF, rules, 0) < 0)
        PyErr_SetFromErrno(PyExc_OSError);
    close(rules);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}
