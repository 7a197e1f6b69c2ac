/* N processes that do nothing, one after the other; with "exec" each one executes this program again, so that an
 * exec record is due for each. */
#include "provoke.h"
#include <sys/wait.h>

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage("fork-flood COUNT [exec]");

    long count = atol(argv[1]);
    int execute = argc > 2 && strcmp(argv[2], "exec") == 0;
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0)
            return report("fork", child, errno);
        if (child == 0) {
            if (execute)
                execl("/proc/self/exe", "fork-flood", "0", (char *)NULL);
            _exit(execute ? FAILED : DONE);
        }
        waitpid(child, NULL, 0);
    }
    if (count > 0)
        printf("fork-flood: %ld\n", count);
    return DONE;
}
