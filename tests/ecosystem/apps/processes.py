import multiprocessing
import multiprocessing.connection
import pickle

from common import work


def child(connection, context):
    connection.send([context.aws_request_id, context.function_name, sorted(vars(context))])
    connection.close()


def handler(event, context):
    seen = []
    for way in ("fork", "spawn"):
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context(way).Process(target=child, args=(theirs, context))
        process.start()
        theirs.close()
        seen.append(ours.recv())
        process.join()
        seen.append(process.exitcode)
    return [seen, len(pickle.dumps(context)) > 100, work(event)]
