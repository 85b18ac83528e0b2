"""What has to hold before a label is moved."""
