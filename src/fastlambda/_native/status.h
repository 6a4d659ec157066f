/* The result codes that every native room shares.
 *
 * One space, three ranges: zero or more is progress (a count of bytes), -1 to -4095 is a negated errno,
 * -10001 and below are ours.  A status is read where it was made and travels as a return value, never as a global.
 */
#ifndef FASTLAMBDA_STATUS_H
#define FASTLAMBDA_STATUS_H

enum {
    STATUS_INCOMPLETE = -10001,  /* a prefix of something valid: call again with more bytes */
    STATUS_DECLINED = -10002,    /* outside the subset that this room reads: ask h11 */
    STATUS_TOO_LARGE = -10003,   /* over a cap that its room names */
    STATUS_PEER_CLOSED = -10004, /* end of stream where more was due */
    STATUS_TIMED_OUT = -10005,   /* the caller's own time limit passed */
    STATUS_NO_ADDRESS = -10006,  /* the host name has no address */
    STATUS_NOT_OURS = -10007,    /* the descriptor's number is another file's by now, or nobody's */
};

#endif
