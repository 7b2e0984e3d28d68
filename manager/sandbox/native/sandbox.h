/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the module: each is a method, and raises OSError when the kernel refuses. */
#ifndef SANDBOX_H
#define SANDBOX_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

PyObject *landlock_abi(PyObject *module, PyObject *none);
PyObject *landlock(PyObject *module, PyObject *args);
PyObject *seccomp_available(PyObject *module, PyObject *none);
PyObject *seccomp(PyObject *module, PyObject *sockets);

#endif
