"""The command line: `main` reads it, and each command is a module of its own."""
