"""The command line: arguments, commands, and how errors are shown."""
