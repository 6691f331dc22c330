"""The frame of every page: plain HTML, no script, nothing from elsewhere."""

import base64
import hashlib
import re
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

_STYLE: Final = """
body{font:16px/1.6 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.15rem;margin-top:2rem}h3{font-size:1rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{background:#f3f3f3;padding:.8rem;overflow-x:auto}
dt{font-weight:600;margin-top:.8rem}dd{margin:0}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #ddd}
td:first-child{width:14rem}td:nth-child(2){width:12rem}pre{max-height:30rem}
section[lang=en]{border-top:2px solid #ddd;margin-top:2.5rem}a{color:#004b91}
@media(prefers-color-scheme:dark){body{background:#16181b;color:#e6e6e6}pre{background:#24272b}a{color:#8ab8ff}}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"


def prose(text: str) -> str:
    """
    Make HTML of a sentence in which `code` may be marked.
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def show(title: str, body: str) -> HTMLResponse:
    """
    Make a page.

    Args:
        title: Plain text.
        body: HTML.
    """
    page = (
        f'<!doctype html><html lang="vi"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body>{body}</body></html>"
    )
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "public, max-age=300",
        "Vary": "Accept",
    }
    return HTMLResponse(page, headers=headers)
