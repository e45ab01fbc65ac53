"""What is asked for below /api/v1/ and does not exist."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from notifications.api.problems import Problem


@extend_schema(exclude=True)
class NotThere(APIView):
    """Every address that no other route takes."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def dispatch(self, request: Request, *args: object, **kwargs: object) -> Response:  # type: ignore[override]
        self.http_method_not_allowed = self._refuse  # type: ignore[method-assign]
        return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]

    def _refuse(self, request: Request, *args: object, **kwargs: object) -> Response:
        slash = " Addresses of the API have no slash at their end." if request.path.endswith("/") else ""
        raise Problem(404, f"There is no such address. /api/docs/ lists them all.{slash}")
