// auparse-walk FILE text|meaning: visits every field of every record of every event with libauparse, the way its
// manual shows. "meaning" asks for the interpretation too (addresses, names, encoded strings).
#include <auparse.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    unsigned long events = 0, records = 0, fields = 0, bytes = 0;
    if (argc != 3)
        return 64;
    int meaning = strcmp(argv[2], "meaning") == 0;
    auparse_state_t *log = auparse_init(AUSOURCE_FILE, argv[1]);
    if (!log)
        return 1;
    while (auparse_next_event(log) > 0) {
        events++;
        auparse_first_record(log);
        do {
            records++;
            auparse_first_field(log);
            do {
                const char *value = meaning ? auparse_interpret_field(log) : auparse_get_field_str(log);
                fields++;
                bytes += value ? strlen(value) : 0;
            } while (auparse_next_field(log) > 0);
        } while (auparse_next_record(log) > 0);
    }
    auparse_destroy(log);
    printf("%lu events %lu records %lu fields %lu bytes\n", events, records, fields, bytes);
    return 0;
}
