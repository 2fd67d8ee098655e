"""The WebSocket door: `GET /ws`."""
