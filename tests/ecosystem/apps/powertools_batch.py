from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

processor = BatchProcessor(event_type=EventType.SQS)


def record(record):
    if record.body == "bad":
        raise ValueError(record.body)


def handler(event, context):
    return process_partial_response(event, record, processor, context)
