"""A family of models outside the project, as somebody would add one."""
