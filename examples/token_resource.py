"""A custom resource of CloudFormation: a random token, made when the stack is, and made anew when its length changes.

    Token:
      Type: Custom::Token
      Properties:
        ServiceToken: !GetAtt TokenFunction.Arn
        Length: 32

!GetAtt Token.Value is the token; CloudFormation masks it.
"""

import secrets
from dataclasses import dataclass

from fastlambda.custom_resource import CustomResourceRunner, Resource, ResourceRequest


@dataclass
class Properties:
    Length: int = 16  # CloudFormation sends "32", which is decoded as 32


class Token(CustomResourceRunner[None, Properties]):
    def create(self, shared: None, request: ResourceRequest[Properties]) -> Resource:
        token = secrets.token_urlsafe(request.properties.Length)[: request.properties.Length]
        return Resource(data={"Value": token}, no_echo=True)

    def update(self, shared: None, request: ResourceRequest[Properties]) -> Resource:
        # The old token goes away with the old resource, once everything that used it has been updated.
        made = self.create(shared, request)
        return Resource(request.default_id, made.data, no_echo=True, replaces=True)
