/* SPDX-License-Identifier: BSD-2-Clause */
/* manager.sandbox._native: what a process can give up, each for good. */
#include "sandbox.h"

#include <sys/prctl.h>
#include <sys/resource.h>

/* No program that is started gains rights by its set-user-id bit; a filter needs it. */
static PyObject *no_new_privileges(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

/* No core dump, which would hold the guest's memory; no more files than now. */
static PyObject *lower_limits(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    struct rlimit core = {0, 0}, files;
    if (setrlimit(RLIMIT_CORE, &core) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    files.rlim_max = files.rlim_cur;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"landlock_abi", landlock_abi, METH_NOARGS, "The version of Landlock that the kernel has."},
    {"landlock", landlock, METH_VARARGS, "Give up files, ports and signals for those named."},
    {"seccomp_available", seccomp_available, METH_NOARGS, "Whether there can be a filter."},
    {"seccomp", seccomp, METH_O, "Give up system calls, and sockets but for those named."},
    {"no_new_privileges", no_new_privileges, METH_NOARGS, "Give up set-user-id programs."},
    {"lower_limits", lower_limits, METH_NOARGS, "Give up core dumps and more descriptors."},
    {0},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "manager.sandbox._native", NULL, 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModule_Create(&definition);
}
