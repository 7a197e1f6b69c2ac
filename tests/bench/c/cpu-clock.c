// cpu-clock PID...: the processor time of these processes together so far, all threads, in nanoseconds.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
    long long sum = 0;
    for (int i = 1; i < argc; i++) {
        clockid_t clock;
        struct timespec t;
        if (clock_getcpuclockid((pid_t)atoi(argv[i]), &clock) == 0 && clock_gettime(clock, &t) == 0)
            sum += (long long)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    printf("%lld\n", sum);
    return 0;
}
