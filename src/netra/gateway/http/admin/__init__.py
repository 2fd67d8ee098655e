"""The HTTP API for administrators. Everybody else gets the answer for an address where nothing is."""
