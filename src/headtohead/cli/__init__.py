"""The command line: arguments, commands, and the display of errors."""
