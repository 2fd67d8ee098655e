"""Texts that would run a script, fetch something from elsewhere, or change the page, if the page let them.

Each of them that runs sets `window.pwn`; each that fetches asks `evil.example`.
"""

from __future__ import annotations

MARKUP = "<img src=x onerror=window.pwn=1><script>window.pwn=1</script>"
"""For places that show plain text."""

PAYLOADS = (
    "<script>window.pwn=1</script>",
    "<img src=x onerror=window.pwn=1>",
    "<svg onload=window.pwn=1>",
    "[a](javascript:window.pwn=1)",
    "[a](JaVaScRiPt:window.pwn=1)",
    "[a](javascript&#58;window.pwn=1)",
    "[a](&#x6A;avascript:window.pwn=1)",
    "<javascript:window.pwn=1>",
    "![x](https://evil.example/p.png)",
    "![x](javascript:window.pwn=1)",
    "[a](data:text/html,<script>window.pwn=1</script>)",
    "[a](vbscript:x)",
    "<a href='javascript:window.pwn=1'>x</a>",
    "<iframe srcdoc='<script>parent.pwn=1</script>'></iframe>",
    "```html\n<img src=x onerror=window.pwn=1>\n```",
    '```"><img src=x onerror=window.pwn=1>\ncode\n```',
    "`<img src=x onerror=window.pwn=1>`",
    "| a |\n|:-:|\n| <img src=x onerror=window.pwn=1> |",
    "[x]: javascript:window.pwn=1\n[x]",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.pwn=1&gt;">',
    "<form action=javascript:window.pwn=1><button>x</button></form>",
    "<style>*{display:none}</style>",
    "<base href=//evil.example>",
    "[a](//evil.example/x)",
    "<p style='position:fixed;inset:0'>x</p>",
    'http://evil.example/"onmouseover=window.pwn=1',
    "<details open ontoggle=window.pwn=1>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    '```chart\n"><img src=x onerror=window.pwn=1>\n```',
)
