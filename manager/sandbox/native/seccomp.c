/* SPDX-License-Identifier: BSD-2-Clause */
/* A filter of system calls: Linux, Documentation/userspace-api/seccomp_filter.rst. */
#include "sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define X32_CALLS 0x40000000u
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum { MOST_SOCKETS = 8 };

#ifdef ARCHITECTURE
/* What no machine needs, whatever its file says. Newer calls than build hosts may know have the
 * same number on every architecture. */
static const unsigned refused[] = {
    /* other programs, and other processes' memory */
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
    438 /* pidfd_getfd */, 440 /* process_madvise */, SYS_move_pages, SYS_migrate_pages,
#ifdef SYS_fork
    SYS_fork, SYS_vfork,
#endif
    /* namespaces, mounts, roots */
    SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
    428 /* open_tree */, 429 /* move_mount */, 430 /* fsopen */, 431 /* fsconfig */,
    432 /* fsmount */, 433 /* fspick */, 442 /* mount_setattr */, 467 /* open_tree_attr */,
    /* the kernel and the whole host */
    SYS_kexec_load, SYS_kexec_file_load, SYS_init_module, SYS_finit_module, SYS_delete_module,
    SYS_bpf, SYS_perf_event_open, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_sethostname,
    SYS_setdomainname, SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex,
    SYS_acct, SYS_setrlimit, SYS_quotactl, 443 /* quotactl_fd */, SYS_syslog, SYS_vhangup, SYS_personality,
    SYS_fanotify_init, SYS_add_key, SYS_request_key, SYS_keyctl,
#ifdef __x86_64__
    SYS_iopl, SYS_ioperm, SYS_modify_ldt,
#endif
    /* ways around a filter, and around paths */
    425 /* io_uring_setup */, 426 /* io_uring_enter */, 427 /* io_uring_register */,
    SYS_open_by_handle_at, SYS_name_to_handle_at,
    /* attributes of files by their names, which Landlock does not look at */
    SYS_fchownat, SYS_fchown, SYS_fchmodat, 452 /* fchmodat2 */, SYS_utimensat, SYS_setxattr,
    SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
    463 /* setxattrat */, 466 /* removexattrat */, 469 /* file_setattr */,
#ifdef SYS_chmod
    SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
};

enum { CLONE3 = 435 }; /* its flags are in memory, where no filter can look */
#define NAMESPACES                                                                               \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET)

enum { LONGEST = 2 * (sizeof refused / sizeof *refused) + 6 * MOST_SOCKETS + 40 };
struct program {
    unsigned short length;
    struct sock_filter code[LONGEST];
};

/* The low half of an argument, on the little-endian machines that there is a filter for. */
#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + (n) * sizeof(__u64))

static void add(struct program *program, unsigned short code, unsigned k, unsigned yes, unsigned no)
{
    program->code[program->length++] = (struct sock_filter){code, (__u8)yes, (__u8)no, k};
}

static void load(struct program *program, size_t offset)
{
    add(program, BPF_LD | BPF_W | BPF_ABS, (unsigned)offset, 0, 0);
}

static void is(struct program *program, unsigned value, unsigned yes, unsigned no)
{
    add(program, BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}

static void answer(struct program *program, unsigned action)
{
    add(program, BPF_RET | BPF_K, action, 0, 0);
}

#define DENY(error) (SECCOMP_RET_ERRNO | (error))

/* A thread, not a process, and in no namespace of its own. */
static void check_clone(struct program *program)
{
    is(program, SYS_clone, 0, 5);
    load(program, ARGUMENT(0));
    add(program, BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 1, 0);
    add(program, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
    answer(program, DENY(EPERM));
    answer(program, SECCOMP_RET_ALLOW);
}

/* Bytes put into a terminal's input are what its shell reads next. */
static void check_ioctl(struct program *program)
{
    is(program, SYS_ioctl, 0, 5);
    load(program, ARGUMENT(1));
    is(program, TIOCSTI, 1, 0);
    is(program, TIOCLINUX, 0, 1);
    answer(program, DENY(EPERM));
    answer(program, SECCOMP_RET_ALLOW);
}

/* Asking for this process's limits: with no pointer to new ones. */
static void check_limits(struct program *program)
{
    is(program, SYS_prlimit64, 0, 8);
    load(program, ARGUMENT(0));
    is(program, 0, 0, 5);
    load(program, ARGUMENT(2));
    is(program, 0, 0, 3);
    load(program, ARGUMENT(2) + sizeof(__u32));
    is(program, 0, 0, 1);
    answer(program, SECCOMP_RET_ALLOW);
    answer(program, DENY(EPERM));
}

/* New sockets of these families and types; connections that are there stay. */
static void check_sockets(struct program *program, const int (*allowed)[2], unsigned count)
{
    is(program, SYS_socket, 0, 6 * count + 2);
    load(program, ARGUMENT(0));
    for (unsigned n = 0; n < count; n++) {
        is(program, (unsigned)allowed[n][0], 0, 5);
        load(program, ARGUMENT(1));
        add(program, BPF_ALU | BPF_AND | BPF_K, ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK), 0, 0);
        is(program, (unsigned)allowed[n][1], 0, 1);
        answer(program, SECCOMP_RET_ALLOW);
        load(program, ARGUMENT(0));
    }
    answer(program, DENY(EPERM));
}

static void build(struct program *program, const int (*sockets)[2], unsigned count)
{
    load(program, offsetof(struct seccomp_data, arch));
    is(program, ARCHITECTURE, 1, 0);
    answer(program, DENY(EPERM));
    load(program, offsetof(struct seccomp_data, nr));
#ifdef X32_CALLS
    add(program, BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1);
    answer(program, DENY(EPERM));
#endif
    for (size_t n = 0; n < sizeof refused / sizeof *refused; n++) {
        is(program, refused[n], 0, 1);
        answer(program, DENY(EPERM));
    }
    is(program, CLONE3, 0, 1);
    answer(program, DENY(ENOSYS)); /* the C library takes clone then */
    check_clone(program);
    check_ioctl(program);
    check_limits(program);
    check_sockets(program, sockets, count);
    answer(program, SECCOMP_RET_ALLOW);
}

static int install(const int (*sockets)[2], unsigned count)
{
    struct program program = {0};
    build(&program, sockets, count);
    struct sock_fprog filter = {program.length, program.code};
    long failed = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
    if (failed > 0) { /* the thread that could not follow */
        errno = ESRCH;
        failed = -1;
    }
    return (int)failed;
}
#else
static int install(const int (*sockets)[2], unsigned count)
{
    (void)sockets;
    (void)count;
    errno = ENOSYS;
    return -1;
}
#endif

PyObject *seccomp_available(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
#ifdef ARCHITECTURE
    __u32 action = SECCOMP_RET_ERRNO;
    return PyBool_FromLong(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
#else
    Py_RETURN_FALSE;
#endif
}

/* seccomp(((family, type), ...)): for every thread of the process. */
PyObject *seccomp(PyObject *module, PyObject *sockets)
{
    (void)module;
    int allowed[MOST_SOCKETS][2];
    if (!PyTuple_Check(sockets) || PyTuple_Size(sockets) > MOST_SOCKETS) {
        PyErr_SetString(PyExc_ValueError, "expected a few pairs");
        return NULL;
    }
    unsigned count = (unsigned)PyTuple_Size(sockets);
    for (unsigned n = 0; n < count; n++)
        if (!PyArg_ParseTuple(PyTuple_GetItem(sockets, n), "ii", &allowed[n][0], &allowed[n][1]))
            return NULL;
    if (install((const int(*)[2])allowed, count) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}
