"""The HTTP API of protocol.md, and the web page."""
