from aws_lambda_powertools.utilities.parser import BaseModel, event_parser


class Model(BaseModel):
    n: int


@event_parser(model=Model)
def handler(event: Model, context):
    return event.n + 1
