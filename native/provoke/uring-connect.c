/* TCP connect by io_uring, inline, by a worker thread ("async") or by the kernel's polling thread ("sqpoll"): no
 * connect(2) is ever called. */
#include "uring.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return usage("uring-connect ADDRESS PORT [async|sqpoll]");

    struct target target = parse_target(argv[1], argv[2]);
    const char *mode = argc > 3 ? argv[3] : "";
    struct io_uring_sqe operation = {
        .opcode = IORING_OP_CONNECT,
        .fd = socket(target.address.ss_family, SOCK_STREAM, 0),
        .addr = (unsigned long)&target.address,
        .off = target.length,
        .flags = strcmp(mode, "async") == 0 ? IOSQE_ASYNC : 0,
    };
    int result = uring_run(&operation, strcmp(mode, "sqpoll") == 0);
    return report("io_uring connect", result, -result);
}
