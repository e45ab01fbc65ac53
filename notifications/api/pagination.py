"""Pages that stay true while rows come in: each begins after the last row of the one before.

An answer is `{"results": [...], "next": url or null, "previous": url or null}`. The order is that of a
unique column, so that no row is shown twice or left out, however many arrive meanwhile.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Field, Model
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from notifications.api.problems import invalid

PAGE_ROWS = 50
MAX_PAGE_ROWS = 200

#: So many digits are no number of rows, whatever they say.
_MANY_DIGITS = 10

#: The query parameters that belong to paging, not to filters.
PARAMETERS = frozenset({"cursor", "limit"})


class Pages(CursorPagination):
    """Pages by a unique column, the one of `ordering`."""

    page_size = PAGE_ROWS
    page_size_query_param = "limit"
    max_page_size = MAX_PAGE_ROWS
    page_size_query_description = f"Rows of a page, 1 to {MAX_PAGE_ROWS}."
    cursor_query_description = "Where a page begins: taken from `next` or `previous` of another page."
    ordering = "id"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        self._column = _column(queryset.model, self.ordering.lstrip("-"))
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                self._column.run_validators(self._column.to_python(cursor.position))
            elif cursor is not None and request.query_params["cursor"]:
                raise ValueError("It says nothing.")
        except (NotFound, ValidationError, ValueError):
            raise invalid(("cursor", "It is not a cursor of this list.")) from None
        return cursor

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("limit", str(PAGE_ROWS))
        if not (text.isascii() and text.isdecimal() and len(text) < _MANY_DIGITS and 1 <= int(text) <= MAX_PAGE_ROWS):
            raise invalid(("limit", f"Use a number from 1 to {MAX_PAGE_ROWS}."))
        return int(text)


class NewestFirst(Pages):
    """For what arrives: the primary key grows with time."""

    ordering = "-id"


class ByKey(Pages):
    """For what people have named."""

    ordering = "key"


class ById(Pages):
    """For what has no name."""

    ordering = "id"


def _column(model: type[Model], name: str) -> Field[Any, Any]:
    column = model._meta.get_field(name)  # noqa: SLF001  documented, in spite of its name
    if not isinstance(column, Field):
        raise TypeError(f"{name} is no column of {model.__name__}")
    return column
