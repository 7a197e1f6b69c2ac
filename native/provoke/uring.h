/* The least of io_uring: one submission, one completion, no library. */
#ifndef PROVOKE_URING_H
#define PROVOKE_URING_H

#include "provoke.h"
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Submits one operation and returns its result (negative errno as the kernel gives it). Exits when this kernel or
 * seccomp profile has no io_uring. With sqpoll a kernel thread takes the entry and no submission call names it. */
static inline int uring_run(const struct io_uring_sqe *operation, int sqpoll)
{
    struct io_uring_params parameters = {0};
    if (sqpoll) {
        parameters.flags = IORING_SETUP_SQPOLL;
        parameters.sq_thread_idle = 200;
    }

    int ring = (int)syscall(SYS_io_uring_setup, 4, &parameters);
    if (ring < 0)
        exit(report("io_uring_setup", ring, errno));

    size_t queue_size = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
    size_t results_size = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    char *queue = mmap(NULL, queue_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    char *results = mmap(NULL, results_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    struct io_uring_sqe *entries = mmap(NULL, parameters.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE,
                                        MAP_SHARED, ring, IORING_OFF_SQES);
    if (queue == MAP_FAILED || results == MAP_FAILED || entries == MAP_FAILED)
        exit(report("mmap", -1, errno));

    entries[0] = *operation;
    ((unsigned *)(queue + parameters.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(queue + parameters.sq_off.tail), 1, __ATOMIC_RELEASE);

    unsigned flags = IORING_ENTER_GETEVENTS | (sqpoll ? IORING_ENTER_SQ_WAKEUP : 0);
    unsigned *tail = (unsigned *)(results + parameters.cq_off.tail);
    while (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == 0) {
        if (syscall(SYS_io_uring_enter, ring, sqpoll ? 0 : 1, 1, flags, NULL, 0) < 0 && errno != EINTR)
            exit(report("io_uring_enter", -1, errno));
    }

    return ((struct io_uring_cqe *)(results + parameters.cq_off.cqes))->res;
}

#endif
