from common import work
from honeybadger import honeybadger

honeybadger.configure(api_key="k", force_report_data=True, force_sync=True)


def handler(event, context):
    return work(event)
