# Alpine: the musl wheel; nothing is compiled.
#   python3 dev.py wheelhouse --all (or take the wheels of a release), then: docker build -f alpine.Dockerfile .
FROM python:3.13-alpine AS build
COPY wheelhouse/ /wheelhouse/
COPY src/ /function/
# The wheelhouse holds one version.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --no-compile --no-index --find-links /wheelhouse --target /function fastlambda \
 && python -m compileall -q --invalidation-mode unchecked-hash /function

FROM python:3.13-alpine
COPY --from=build /function /var/task
WORKDIR /var/task
ENV PYTHONPATH=/var/task
ENTRYPOINT ["/usr/local/bin/python", "-c", "import fastlambda; fastlambda.main()"]
CMD ["app.handler"]
