/* The least that a streaming client can do: one event, then N chunks of SIZE bytes, each in one gathered write.
 * Usage: stream_client PORT N SIZE.  Source: Runtime API 2018-06-01, "Response streaming". */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void send_all(int fd, struct iovec *iov, int n)
{
    while (n) {
        ssize_t sent = writev(fd, iov, n);

        if (sent < 0)
            exit(1);
        while (n && (size_t)sent >= iov->iov_len) {
            sent -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n) {
            iov->iov_base = (char *)iov->iov_base + sent;
            iov->iov_len -= (size_t)sent;
        }
    }
}

static void send_text(int fd, const char *text)
{
    struct iovec iov = {(void *)text, strlen(text)};

    send_all(fd, &iov, 1);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[4096], line[32];
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    long n, size, i;
    char *chunk;

    if (argc != 4)
        return 2;
    address.sin_port = htons((unsigned short)atoi(argv[1]));
    n = atol(argv[2]);
    size = atol(argv[3]);
    chunk = calloc(1, (size_t)size);
    if (fd < 0 || !chunk || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    send_text(fd, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n");
    if (read(fd, answer, sizeof answer) <= 0)
        return 1;
    send_text(fd, "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: x\r\n"
                  "Content-Type: application/octet-stream\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n");
    for (i = 0; i < n; i++) {
        struct iovec iov[3] = {{line, 0}, {chunk, (size_t)size}, {"\r\n", 2}};

        iov[0].iov_len = (size_t)snprintf(line, sizeof line, "%lx\r\n", size);
        send_all(fd, iov, 3);
    }
    send_text(fd, "0\r\n\r\n");
    return read(fd, answer, sizeof answer) <= 0;
}
