"""What tests share: a real PostgreSQL, real server processes, real sign-ins, a real browser. No stand-ins."""
