from chalice import Chalice

handler = Chalice(app_name="a")


@handler.route("/a")
def a():
    return {"query": handler.current_request.query_params, "left": handler.lambda_context.function_name}
