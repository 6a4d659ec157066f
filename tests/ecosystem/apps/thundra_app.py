from catchpoint.catchpoint_agent import Catchpoint
from common import work

catchpoint = Catchpoint(api_key="k")


@catchpoint
def handler(event, context):
    print("told")
    return work(event)
