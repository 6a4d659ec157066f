from common import work
from sqlalchemy import create_engine, text

engine = create_engine("sqlite://")


def handler(event, context):
    with engine.begin() as connection:
        return [connection.execute(text("select 1 + 1")).scalar(), work(event)]
