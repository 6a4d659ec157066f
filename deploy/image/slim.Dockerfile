# Any Debian-based Python image: fastlambda is the entry point.
#   python3 dev.py wheelhouse (or take the wheels of a release), then: docker build -f slim.Dockerfile .
FROM python:3.13-slim AS build
COPY wheelhouse/ /wheelhouse/
COPY src/ /function/
# Compiled here, never checked later: Lambda's file system is read-only.
# The wheelhouse holds one version.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --no-compile --no-index --find-links /wheelhouse --target /function fastlambda \
 && python -m compileall -q --invalidation-mode unchecked-hash /function

FROM python:3.13-slim
COPY --from=build /function /var/task
WORKDIR /var/task
ENV PYTHONPATH=/var/task
ENTRYPOINT ["/usr/local/bin/python", "-c", "import fastlambda; fastlambda.main()"]
CMD ["app.handler"]
