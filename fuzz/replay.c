/* Runs a fuzz target over files, for compilers without libFuzzer: each past crash and each seed is a test. */
#include "target.h"

int main(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        static unsigned char bytes[1 << 20];
        FILE *file = fopen(argv[i], "rb");
        size_t size;
        unsigned char *copy;

        if (!file) {
            perror(argv[i]);
            return 1;
        }
        size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        copy = (unsigned char *)exact_copy(bytes, size);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
