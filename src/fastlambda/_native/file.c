#include "file.h"

#include <sys/stat.h>
#include <unistd.h>

uint64_t file_of(int fd)
{
    struct stat file;

    if (fd < 0 || fstat(fd, &file) < 0)
        return 0;
    return ((uint64_t)file.st_dev << 40 ^ (uint64_t)file.st_dev >> 24 ^ (uint64_t)file.st_ino) | UINT64_C(1) << 63;
}

void file_close(int fd, uint64_t file)
{
    if (file && file_of(fd) == file)
        close(fd);
}
