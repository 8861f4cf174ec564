"""Code that the host sends to a board over its raw REPL; it stays in RAM and is gone with the next reset."""
