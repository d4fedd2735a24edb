"""A validation as a page for people: Great Expectations' Data Docs, and nothing of other hosts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

# What the page would fetch from elsewhere: pictures, styles, fonts, scripts.
ELSEWHERE = re.compile(
    r"<script[^>]*\bsrc=[^>]*>\s*</script>"
    r"|<link\b[^>]*\bhref=[\"']?(?:https?:)?//[^>]*>"
    r"|<img\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>"
    r"|<iframe\b.*?</iframe>",
    re.S,
)
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; max-width: 75rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
td, th { border: 1px solid #8884; padding: .25rem .6rem; text-align: left; vertical-align: top; }
.modal, .navbar, #ge-cta-footer, .ge-navigation-sidebar-container { display: none; }
.daybreak { border-left: 4px solid #c33; padding: .5rem 1rem; }
.daybreak.passed { border-color: #393; }
"""


def page(validated: Any, title: str, failures: Sequence[str]) -> str:
    """The page of one validation.

    Args:
        validated: Great Expectations' result.
        title: the table and the dates of its rows.
        failures: all that stands against the rows, also what is no expectation.
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    document = ValidationResultsPageRenderer(run_info_at_end=True).render(validated)
    view: Any = DefaultJinjaPageView()
    drawn = ELSEWHERE.sub("", view.render(document))
    listed = "".join(f"<li>{escape(each)}</li>" for each in failures)
    verdict = f"<ul>{listed}</ul>" if failures else "<p>Everything expected was found.</p>"
    ours = (
        f"<style>{STYLE}</style><section class='daybreak{'' if failures else ' passed'}'>"
        f"<h1>{escape(title)}</h1>{verdict}</section>"
    )
    return re.sub(r"(<body[^>]*>)", lambda found: found[1] + ours, drawn, count=1)
