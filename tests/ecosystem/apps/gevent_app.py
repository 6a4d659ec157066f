from gevent import monkey

monkey.patch_all()
import gevent  # noqa: E402
from common import work  # noqa: E402


def handler(event, context):
    jobs = [gevent.spawn(lambda n=n: n * n) for n in range(4)]
    gevent.joinall(jobs, timeout=5)
    return [[job.value for job in jobs], work(event)]
