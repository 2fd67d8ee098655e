"""The doors: HTTP, WebSocket, server-sent events, the web page. They parse, authenticate and answer; they decide
nothing."""
