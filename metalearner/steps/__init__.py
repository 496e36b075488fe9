"""What `run` says in a line each: stages given what they need, and what they found told to whoever listens."""
