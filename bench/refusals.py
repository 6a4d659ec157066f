"""What it costs to refuse an event: documents of 6 MB, each broken, or odd, in a way that could make a reader slow.

Times fastlambda's two codecs and AWS's client (CPU seconds, the best of three) and prints the ratio.  A refusal must
not take longer than 1.5 times what AWS's client takes, or than 8 ns a byte: a document that is broken at its
beginning costs a quick reader a look at all of its bytes, and a slow one nothing.

  python bench/refusals.py [--size BYTES] [--check]         --check: status 1 when one takes longer
"""

import argparse
import sys
import time

NS_PER_BYTE = 8


def documents(size):
    """{name: document} of about `size` bytes each."""

    def fill(piece):
        return piece * (size // len(piece))

    return {
        "a constant after a text": b'["' + fill(b"a") + b'", NaN]',
        "a constant after backslashes": b'["' + fill(b"\\\\") + b'", -Infinity]',
        "a constant after quotes": b'["' + fill(b'\\"') + b'", NaN]',
        "a constant after what is not ASCII": b'["' + fill("\U0001f600".encode()) + b'", NaN]',
        "a constant first": b"[NaN," + fill(b"1,") + b"1]",
        "no comma after numbers": b"[" + fill(b"1,") + b"1 2]",
        "no comma after texts": b"[" + fill(b'"a",') + b'"a" 2]',
        "no comma after arrays": b"[" + fill(b"[],") + b"[] 2]",
        "no comma after objects": b"[" + fill(b"{},") + b"{} 2]",
        "no comma after escapes": b'["' + fill(b'\\"') + b'" 2]',
        "no comma in an object": b'{"a":[' + fill(b"1,") + b'1] "b":2}',
        "no comma after keys of one name": b"{" + fill(b'"a":1,') + b'"a":1 2}',
        "no comma after long floats": b"[" + fill(b"0.12345678901234567890123456789012345,") + b"1 2]",
        "no comma after lone surrogates": b"[" + fill(b'"\\ud800",') + b"1 2]",
        "no comma after a wide integer": b"[" + fill(b"1,") + b"1234567890123456789012345 2]",
        "spaces before": fill(b" ") + b"x",
        "lines before": fill(b"\n") + b"x",
        "spaces alone": fill(b" "),
        "spaces after": b"1" + fill(b" ") + b"x",
        "lines after": b"1" + fill(b"\n") + b"x",
        "a comma and spaces": b"[1," + fill(b" ") + b"]",
        "a comma and spaces in an object": b'{"a":1,' + fill(b" ") + b"}",
        "more after the end": b"[" + fill(b"1,") + b"1]x",
        "not UTF-8 at the end": b'"' + fill(b"a") + b'\xff"',
        "a control character at the end": b'"' + fill(b"a") + b'\n"',
        "an unknown escape at the end": b'"' + fill(b"a") + b'\\q"',
        "a text without its end": b'"' + fill(b"a"),
        "arrays without end": fill(b"["),
        "objects without end": fill(b'{"a":'),
        "one integer": fill(b"9"),
        "one float, and more": b"1." + fill(b"9") + b"x",
        "valid: spaces before": fill(b" ") + b"1",
        "valid: spaces after": b"1" + fill(b" "),
        "valid: lone surrogates": b"[" + fill(b'"\\ud800",') + b"1]",
        "valid: floats too large": b"[" + fill(b"1e999,") + b"1]",
        "valid: wide integers": b"[" + fill(b"12345678901234567890,") + b"1]",
    }


def seconds(read, document):
    """CPU seconds of one reading, refused or not: the best of three."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        try:
            read(document)
        except Exception:
            pass
        best = min(best, time.process_time() - start)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=6_000_000, help="bytes (default: 6,000,000)")
    parser.add_argument("--check", action="store_true", help="status 1 when a refusal takes too long")
    args = parser.parse_args()

    from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

    from fastlambda._core import Codec

    aws = LambdaMarshaller().unmarshal_request
    ours = [Codec("orjson"), Codec("stdlib")]
    n_slow = 0
    print(f"{'ms of CPU':40} {'AWS':>8} {'orjson':>8} {'stdlib':>8}  ratio")
    for name, document in documents(args.size).items():
        theirs = seconds(aws, document)
        took = [seconds(codec.decode, document) for codec in ours]
        is_slow = max(took) > max(1.5 * theirs, NS_PER_BYTE * 1e-9 * len(document))
        n_slow += is_slow
        cells = " ".join(f"{s * 1000:8.1f}" for s in [theirs, *took])
        print(f"{name:40} {cells} {max(took) / theirs:6.2f}{'  SLOW' if is_slow else ''}", flush=True)
    return 1 if args.check and n_slow else 0


if __name__ == "__main__":
    sys.exit(main())
