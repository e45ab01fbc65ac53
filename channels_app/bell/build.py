"""Makes `static/belfry/bell.js` of the script and the style beside this file: `python channels_app/bell/build.py`."""

from __future__ import annotations

import re
from pathlib import Path

import minify

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "static/belfry/bell.js"


def build(script: str, style: str) -> str:
    """What is shipped: the script with the style in it, without comments and long names."""
    # To the minifier a template is a text, and what stands between its tags might be meant.
    script = re.sub(r">\n<", "><", script)
    whole = f"(()=>{{const STYLE=`{minify.string('text/css', style)}`;{script}}})()"
    return f"{minify.string('application/javascript', whole)}\n"


def built() -> str:
    """What the sources are now."""
    return build((HERE / "bell.js").read_text(), (HERE / "style.css").read_text())


if __name__ == "__main__":
    SHIPPED.write_text(built())
