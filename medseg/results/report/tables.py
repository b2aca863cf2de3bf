"""HTML tables that sort at a click on a heading."""

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

__all__ = ["Column", "Markup", "figure_text", "table"]


class Column(NamedTuple):
    """A column: its heading, and the decimals of its numbers, None for a column of text."""

    title: str
    decimals: int | None = None


class Markup(NamedTuple):
    """A cell that is HTML already, and the text to sort it by."""

    html: str
    text: str


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> str:
    """A table whose headings are buttons; `report.js` sorts it by the cells' `data-value`.

    Args:
        caption: what the table holds.
        columns: the columns.
        rows: a cell per column: a number or None in a column of numbers, else text or :class:`Markup`.

    Returns:
        the element, with every text escaped.
    """
    headings = "".join(
        f'<th scope="col" data-kind="{"text" if column.decimals is None else "number"}">'
        f'<button type="button">{escape(column.title)}</button></th>'
        for column in columns
    )
    body = "\n".join(
        f"<tr>{''.join(_cell(column, value) for column, value in zip(columns, row, strict=True))}</tr>" for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="sortable">'
        f"<caption>{escape(caption)}</caption><thead><tr>{headings}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def figure_text(value: float | None, decimals: int) -> str:
    """A number with its thousands apart, or a dash where there is none."""
    if value is None:
        return "\u2013"
    # the narrow no-break space of the SI brochure, and a true minus
    return f"{value:,.{decimals}f}".replace(",", "\u202f").replace("-", "\u2212")


def _cell(column: Column, value: Any) -> str:
    if column.decimals is not None:
        sortable = "" if value is None else repr(value)
        return f'<td class="number" data-value="{sortable}">{figure_text(value, column.decimals)}</td>'
    content = value if isinstance(value, Markup) else Markup(escape(str(value)), str(value))
    return f'<td data-value="{escape(content.text)}">{content.html}</td>'
