/* Which open file a descriptor's number stands for.
 *
 * Owns nothing.
 * Promises that a number which user code has closed, and perhaps got again for something else, is told from what it was.
 * Must not know: sockets (net.h, whose connections have a better identity), Python.
 * Source: fstat(2): device and inode of a pipe, a file, a terminal stay theirs as long as somebody has it open. */
#ifndef FASTLAMBDA_FILE_H
#define FASTLAMBDA_FILE_H

#include <stdint.h>

/* Of the open file behind a descriptor; 0: there is none. The two ends of a pipe have one. */
uint64_t file_of(int fd);

/* Closes, unless the number is another file's by now. */
void file_close(int fd, uint64_t file);

#endif
