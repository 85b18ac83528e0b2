"""Print the results of commands: for people, or as JSON."""
