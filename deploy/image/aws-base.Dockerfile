# AWS's base image: the runtime stays as it is, the wrapper starts fastlambda.
#   pip install 'fastlambda[local]'
#   fastlambda layer --python 3.13 --arch x86_64 -o layer.zip && unzip -d layer layer.zip
#   docker build -f aws-base.Dockerfile .
FROM public.ecr.aws/lambda/python:3.13

COPY layer/ /opt/
COPY src/ ${LAMBDA_TASK_ROOT}/

ENV AWS_LAMBDA_EXEC_WRAPPER=/opt/fastlambda-wrapper
CMD ["app.handler"]
